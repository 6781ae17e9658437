import { createHash } from 'node:crypto';
import {
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  type InputRequiredResult,
  inputRequired,
  inputResponse,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { randomToken } from '../core/ids.ts';
import type { Answer, Ask } from '../core/pods.ts';

/** Seconds a person may think. */
const THINKING_TIME_SECONDS = 600;
/** Where the form stands among the requests of a round. */
const REQUEST_KEY = 'confirm';
const MOST_USED_ANSWERS = 10_000;

/** What the client carries between question and answer: signed, bound to one call and one question, used once. */
const stateSchema = z.object({ call: z.string(), question: z.string(), once: z.string() });
type QuestionState = z.output<typeof stateSchema>;

/** Leaves the handler when a person has to be asked first; the call runs again with the answer. */
export class PersonNeeded extends Error {}

export interface Asking {
  readonly ask: Ask;
  /** The question that is open, as the result of this round. */
  pending(): Promise<InputRequiredResult | undefined>;
}

export interface Asker {
  readonly verify: (state: string, context: ServerContext) => Promise<QuestionState>;
  forCall(
    call: { readonly tool: string; readonly args: unknown },
    context: ServerContext,
    initialCapabilities: () => unknown,
  ): Asking;
}

/** One per process: keeps the signing key and which answers were used. */
export function createAsker(key: string): Asker {
  const codec = createRequestStateCodec<QuestionState>({ key, ttlSeconds: THINKING_TIME_SECONDS });
  const used = new Set<string>();

  return {
    verify: async (state, context) => codec.verify(state, context),
    forCall({ tool, args }, context, initialCapabilities) {
      const call = digest(JSON.stringify([tool, args ?? {}]));
      const state = stateSchema.safeParse(context.mcpReq.requestState());
      const able = canAsk(
        context.mcpReq.envelope === undefined
          ? initialCapabilities()
          : capabilityOf(context.mcpReq.envelope),
      );
      let open: { readonly message: string; readonly field: string } | undefined;

      return {
        async ask(question) {
          if (!able) return 'unavailable';
          const asked = questionId(question);
          if (state.success && state.data.call === call && state.data.question === asked) {
            const answer = answerOf(context, propertyOf(question.field));
            if (answer !== undefined && !used.has(state.data.once)) {
              if (used.size >= MOST_USED_ANSWERS) used.clear();
              used.add(state.data.once);
              return Promise.resolve(answer);
            }
          }
          open = question;
          throw new PersonNeeded('A person has to answer first.');
        },
        async pending() {
          if (open === undefined) return undefined;
          const { message, field } = open;
          return inputRequired({
            inputRequests: {
              [REQUEST_KEY]: inputRequired.elicit({
                message,
                requestedSchema: {
                  type: 'object',
                  // A form without fields is accepted by some hosts without asking anybody.
                  properties: {
                    [propertyOf(field)]: { type: 'boolean', title: titleOf(field), default: false },
                  },
                  required: [propertyOf(field)],
                },
              }),
            },
            requestState: await codec.mint({
              call,
              question: questionId(open),
              once: randomToken(),
            }),
          });
        },
      };
    },
  };
}

/** Accepting without the tick is a no; cancelling is what hosts without a person do. */
function answerOf({ mcpReq }: ServerContext, property: string): Answer | undefined {
  const response = inputResponse(mcpReq.inputResponses, REQUEST_KEY);
  if (response.kind !== 'elicit') return undefined;
  switch (response.action) {
    case 'accept':
      return response.content?.[property] === true ? 'accepted' : 'declined';
    case 'decline':
      return 'declined';
    case 'cancel':
      return 'unavailable';
  }
}

const elicitationSchema = z.looseObject({
  elicitation: z.looseObject({ form: z.unknown(), url: z.unknown() }).partial(),
});
/** A bare `elicitation: {}` means forms, as it did before there were two modes. */
function canAsk(capabilities: unknown): boolean {
  const parsed = elicitationSchema.safeParse(capabilities);
  if (!parsed.success) return false;
  const { form, url } = parsed.data.elicitation;
  return form !== undefined || url === undefined;
}

function capabilityOf(envelope: unknown): unknown {
  const parsed = z.record(z.string(), z.unknown()).safeParse(envelope);
  return parsed.success ? parsed.data[CLIENT_CAPABILITIES_META_KEY] : undefined;
}

const propertyOf = (field: string): string =>
  /^[A-Za-z]\w{0,63}$/.test(field) ? field : 'confirm';
/** "discardUnfetched" is read as "Discard unfetched". */
function titleOf(field: string): string {
  const words = field.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}
const TIMES = /\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?/g;
/** The same question asked again. A deadline counted from now moves while the person thinks: that alone is no other. */
function questionId({ message, field }: { message: string; field: string }): string {
  return digest(JSON.stringify([field, message.replace(TIMES, 'then')]));
}
const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
