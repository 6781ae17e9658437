import type * as graphql from 'graphql';
import { z } from 'zod';
import type { FakeAnswer, FakeRequest } from '../../http.ts';
import { Refusal, type RefusalKind } from '../refusal.ts';
import { type Asked, RESOLVERS } from './resolve.ts';
import { READS } from './schema-reads.ts';
import { WRITES } from './schema-writes.ts';

const bodySchema = z.object({
  query: z.string(),
  variables: z.record(z.string(), z.unknown()).nullish(),
  operationName: z.string().nullish(),
});
const CODES: Readonly<Record<RefusalKind, string>> = {
  'no-capacity': 'SUPPLY_CONSTRAINT',
  'host-full': 'RUNPOD',
  unfit: 'RUNPOD',
  balance: 'INSUFFICIENT_BALANCE',
  'not-found': 'RUNPOD',
  gone: 'POD_NOT_FOUND',
  scope: 'RUNPOD',
  invalid: 'RUNPOD',
  conflict: 'RUNPOD',
  contract: 'RUNPOD',
  internal: 'INTERNAL_SERVER_ERROR',
};
const NO_INTROSPECTION =
  'GraphQL introspection is not allowed by Apollo Server, but the query contained __schema or __type. To enable introspection, pass introspection: true to ApolloServer in production';

type Library = typeof graphql;
interface Engine {
  readonly library: Library;
  readonly schema: graphql.GraphQLSchema;
}
let engine: Promise<Engine> | undefined;
/** The library is heavy, so it comes with the first question. */
async function openEngine(): Promise<Engine> {
  engine ??= import('graphql').then((library) => ({
    library,
    schema: library.buildSchema(`${READS}\n${WRITES}`),
  }));
  return engine;
}

/** A question that has been read but not yet answered. */
export interface Question {
  /** "podStop" or "myself pod"; '' when it cannot be read. */
  readonly roots: string;
  /** Does the work. */
  answer(asked: Asked): Promise<FakeAnswer>;
}

/** Reads a question. What is wrong with it is answered before anything is done, with 400. */
export async function readQuestion(request: FakeRequest): Promise<Question> {
  const refused = (errors: readonly unknown[]): Question => ({
    roots: '',
    answer: async () => Promise.resolve({ status: 400, body: { errors } }),
  });
  const body = bodySchema.safeParse(request.body);
  if (!body.success)
    return refused([
      {
        message: 'POST body missing, invalid Content-Type, or JSON object has no keys.',
        extensions: { code: 'BAD_REQUEST' },
      },
    ]);
  const { library, schema } = await openEngine();
  const { query, variables, operationName } = body.data;
  let document: graphql.DocumentNode;
  try {
    document = library.parse(query);
  } catch (failure) {
    const message = failure instanceof Error ? failure.message : 'Syntax Error';
    return refused([{ message, extensions: { code: 'GRAPHQL_PARSE_FAILED' } }]);
  }
  if (introspected(library, document)) return refused([NO_INTROSPECTION_ERROR]);
  const found = library.validate(schema, document);
  if (found.length > 0)
    return refused(found.map((error) => told(error, 'GRAPHQL_VALIDATION_FAILED')));
  return {
    roots: rootsOf(library, document),
    async answer(asked) {
      const result = await library.execute({
        schema,
        document,
        rootValue: rootOf(asked),
        variableValues: variables ?? {},
        ...(typeof operationName === 'string' ? { operationName } : {}),
      });
      // Values that do not fit are refused before anything is done.
      if (result.data === undefined)
        return {
          status: 400,
          body: { errors: (result.errors ?? []).map((error) => told(error, 'BAD_USER_INPUT')) },
        };
      const { data, errors } = result;
      return {
        status: 200,
        body:
          errors === undefined
            ? { data }
            : { errors: errors.map((error) => told(error, codeOf(error))), data },
      };
    },
  };
}
const NO_INTROSPECTION_ERROR = {
  message: NO_INTROSPECTION,
  extensions: {
    code: 'GRAPHQL_VALIDATION_FAILED',
    validationErrorCode: 'INTROSPECTION_DISABLED',
  },
};

function introspected({ visit }: Library, document: graphql.DocumentNode): boolean {
  let isAsked = false;
  visit(document, {
    Field({ name }) {
      if (name.value === '__schema' || name.value === '__type') isAsked = true;
    },
  });
  return isAsked;
}
const rootsOf = ({ Kind }: Library, document: graphql.DocumentNode): string =>
  document.definitions
    .flatMap((definition) =>
      definition.kind === Kind.OPERATION_DEFINITION
        ? definition.selectionSet.selections.flatMap((selection) =>
            selection.kind === Kind.FIELD ? [selection.name.value] : [],
          )
        : [],
    )
    .join(' ');

/** The resolvers with the request they are for. */
const rootOf = (asked: Asked) =>
  Object.fromEntries(
    Object.entries(RESOLVERS).map(([name, resolver]) => [
      name,
      (args: Readonly<Record<string, unknown>>) => resolver(args, asked),
    ]),
  );

function codeOf({ originalError }: graphql.GraphQLError): string {
  return originalError instanceof Refusal ? CODES[originalError.kind] : 'INTERNAL_SERVER_ERROR';
}
function told(error: graphql.GraphQLError, code: string): unknown {
  const { message, locations, path } = error;
  return {
    message,
    ...(locations === undefined ? {} : { locations }),
    ...(path === undefined ? {} : { path }),
    extensions: { code },
  };
}
