import { z } from 'zod';
import type { CallOptions, Clock } from '../../core/call.ts';
import { ProviderError } from '../../core/errors.ts';
import { isLoopback } from '../../core/loopback.ts';
import { createHttp, type Http, type HttpOrder } from '../http.ts';
import { Pacer } from '../pacer.ts';
import { runpodFailure, WithdrawnError } from './failure.ts';
import { isRefusal } from './refusal.ts';

const BACKOFF_SECONDS = 5;
/** What runs on this machine has no neighbours: it is asked again soon. */
const LOCAL_BACKOFF = 0.1;
/** How long an interface that was withdrawn is not asked again. */
const WITHDRAWN_SECONDS = 600;

const dataSchema = z.object({ data: z.unknown() });

export interface RunpodAddresses {
  /** All three whole, as RunPod writes them: ".../graphql", ".../v2", ".../v1". */
  readonly graphqlUrl: string;
  readonly restUrl: string;
  /** Absent: the retired REST v1 is never asked. */
  readonly oldRestUrl?: string | undefined;
}
export interface TransportDeps extends RunpodAddresses {
  readonly apiKey: string;
  readonly clock: Clock;
}

export type Interface = 'graphql' | 'v2' | 'v1';

export type Way<T> = readonly [Interface, () => Promise<T>];

export interface GraphqlOrder<T> {
  /** In our own words, to begin a message with. */
  readonly what: string;
  readonly document: string;
  readonly variables?: Readonly<Record<string, unknown>>;
  readonly schema: z.ZodType<T>;
  readonly repeat?: 'safe' | 'never';
  readonly timeoutSeconds?: number;
  readonly secrets?: readonly string[];
}
export interface RestOrder<T>
  extends Pick<
    HttpOrder,
    'what' | 'method' | 'path' | 'query' | 'body' | 'timeoutSeconds' | 'secrets'
  > {
  readonly schema: z.ZodType<T>;
  readonly repeat?: 'safe' | 'never';
}

/** The three interfaces of RunPod. Each call goes to the first of those given that has not been withdrawn. */
export interface Transport {
  readonly graphql: <T>(order: GraphqlOrder<T>, options: CallOptions) => Promise<T>;
  readonly rest: <T>(order: RestOrder<T>, options: CallOptions) => Promise<T>;
  readonly old: <T>(order: RestOrder<T>, options: CallOptions) => Promise<T>;
  /** A stream of server-sent events, read until it is quiet. */
  readonly stream: (
    order: Pick<HttpOrder, 'what' | 'path' | 'query'> & {
      readonly quietSeconds: number;
      readonly timeoutSeconds: number;
      readonly maxBytes: number;
    },
    options: CallOptions,
  ) => Promise<string>;
  /**
   * Tries the ways in the order they are given and goes on only when a whole interface is withdrawn, in which case nothing was
   * done. Throws `unsupported` in our own words when none is left.
   */
  readonly first: <T>(what: string, ways: readonly Way<T>[]) => Promise<T>;
}

/** Opens nothing: the first call does. */
export function createTransport(deps: TransportDeps): Transport {
  const { clock } = deps;
  const withdrawn = new Map<Interface, number>();
  const now = (): number => clock.now().getTime() / 1000;

  const httpFor = (url: string): { readonly http: Http; readonly base: string } => {
    const { origin, pathname } = new URL(url);
    const http = createHttp({
      cloud: 'RunPod',
      baseUrl: origin,
      apiKey: deps.apiKey,
      clock,
      pacer: new Pacer(clock, {}),
      backoffSeconds: BACKOFF_SECONDS * (isLoopback(url) ? LOCAL_BACKOFF : 1),
      isRefusal,
      failureOf: runpodFailure,
    });
    return { http, base: pathname.replace(/\/+$/, '') };
  };
  const graphqlHttp = httpFor(deps.graphqlUrl);
  const restHttp = httpFor(deps.restUrl);
  const oldHttp = deps.oldRestUrl === undefined ? undefined : httpFor(deps.oldRestUrl);

  async function restOver<T>(
    { http, base }: ReturnType<typeof httpFor>,
    { path, repeat, ...order }: RestOrder<T>,
    options: CallOptions,
  ): Promise<T> {
    const isRead = order.method === 'GET';
    return http.call(
      {
        ...order,
        path: `${base}${path}`,
        lane: isRead ? 'read' : 'write',
        repeat: repeat ?? (isRead ? 'safe' : 'never'),
      },
      options,
    );
  }

  return {
    async graphql({ document, variables = {}, what, schema, repeat = 'safe', ...rest }, options) {
      const { GraphQLClient } = await import('graphql-request');
      const { http, base } = graphqlHttp;
      // It words the question and unwraps the answer; the road, with its limits, retries and masks, is ours.
      const client = new GraphQLClient(deps.graphqlUrl, {
        fetch: async (_url, init) => {
          const order = {
            what,
            repeat,
            ...rest,
            method: 'POST',
            path: base,
            lane: 'graphql',
          } as const;
          const body: unknown = JSON.parse(typeof init?.body === 'string' ? init.body : '{}');
          const answer = await http.call({ ...order, body, schema: dataSchema }, options);
          return new Response(JSON.stringify(answer), {
            headers: { 'content-type': 'application/json' },
          });
        },
      });
      const data: unknown = await client.request(document, variables);
      const parsed = schema.safeParse(data);
      if (parsed.success) return parsed.data;
      const paths = parsed.error.issues.map(({ path, code }) => `${path.join('.')}: ${code}`);
      throw new ProviderError(
        'provider_contract',
        `${what}: RunPod answered in an unknown shape.`,
        {
          cause: new Error(paths.slice(0, 5).join('; ')),
        },
      );
    },
    rest: async (order, options) => restOver(restHttp, order, options),
    async old(order, options) {
      if (oldHttp === undefined)
        throw new WithdrawnError('provider_contract', 'There is no REST v1.');
      return restOver(oldHttp, order, options);
    },
    async stream({ path, ...order }, options) {
      const { http, base } = restHttp;
      const answer = await http.exchange(
        { ...order, method: 'GET', path: `${base}${path}`, lane: 'logs', repeat: 'never' },
        options,
      );
      if (answer.status >= 300) throw runpodFailure(answer, order.what);
      return answer.text;
    },
    async first(what, ways) {
      let last: unknown;
      for (const [name, way] of ways) {
        if ((withdrawn.get(name) ?? 0) > now()) continue;
        if (name === 'v1' && oldHttp === undefined) continue;
        try {
          return await way();
        } catch (failure) {
          if (!(failure instanceof WithdrawnError)) throw failure;
          withdrawn.set(name, now() + WITHDRAWN_SECONDS);
          last = failure;
        }
      }
      throw new ProviderError(
        'provider_contract',
        `${what}: RunPod has withdrawn the interface that could do this.`,
        { cause: last, hint: 'Check the RUNPOD_*_URL variables, or update gpu-lease.' },
      );
    },
  };
}
