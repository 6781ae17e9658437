import pRetry from 'p-retry';
import type { Dispatcher } from 'undici';
import type { z } from 'zod';
import type { CallOptions, Clock } from '../core/call.ts';
import { type AppError, isAppError, ProviderError } from '../core/errors.ts';
import { withinSeconds } from './abort.ts';
import {
  type Mask,
  NoAnswerError,
  noAnswer,
  parseJson,
  readLimited,
  readUntilQuiet,
} from './answer.ts';
import { type Pacer, TooSoonError } from './pacer.ts';

const TIMEOUT_SECONDS = 30;
const GRACE_SECONDS = 5;
const MAX_BYTES = 64 * 1024 * 1024;
const BACKOFF_CAP_SECONDS = 60;
/** Tries in all, the first one too. */
const TRIES = { rate_limited: 5, provider_unavailable: 3, timed_out: 2 } as const;
const UNAVAILABLE_BACKOFF_SECONDS = 0.5;

export interface HttpDeps {
  /** For messages: "Vast.ai". */
  readonly cloud: string;
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly clock: Clock;
  readonly pacer: Pacer;
  /** The first wait after a 429; it doubles each time. */
  readonly backoffSeconds: number;
  /** Whether an answer is a refusal, whatever its status. Every status of 300 and above is one. */
  readonly isRefusal?: (body: unknown) => boolean;
  /** Words a refusal. Everything in `answer` is foreign; the key is masked in it. */
  readonly failureOf: (answer: Answer, what: string) => AppError;
  /** 0 to 1. Tests say what. */
  readonly random?: () => number;
}
export interface HttpOrder {
  /** In our own words, to begin a message with: "The list of pods". */
  readonly what: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  /** What is not a string is sent as JSON. */
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
  /** Calls of one lane are kept apart as the cloud demands. */
  readonly lane: string;
  /** Whether a second try could do harm. */
  readonly repeat: 'safe' | 'never';
  readonly timeoutSeconds?: number;
  /** How long this may wait for its lane; after that it is refused unsent. Absent: as long as it takes. */
  readonly patienceSeconds?: number | undefined;
  readonly maxBytes?: number;
  /** The answer is a stream without an end: it is read until so long nothing came, at the latest for `timeoutSeconds`. */
  readonly quietSeconds?: number;
  /** Values in this request that no error may quote. */
  readonly secrets?: readonly string[];
}
export interface HttpRequest<T> extends HttpOrder {
  readonly schema: z.ZodType<T>;
}
export interface Answer {
  readonly status: number;
  /** `undefined`: it was not JSON. */
  readonly body: unknown;
  readonly text: string;
  readonly retryAfterSeconds?: number | undefined;
}
export interface Http {
  /** Throws typed errors only: a refusal, `provider_unavailable`, `provider_contract`; or the reason of an abort. */
  call<T>(request: HttpRequest<T>, options: CallOptions): Promise<T>;
  /** One try, whatever the status. Throws `NoAnswerError` when no whole answer came. */
  exchange(order: HttpOrder, options: CallOptions): Promise<Answer>;
  /** A file that lies elsewhere, fetched without our key. */
  fetchFile(url: string, maxBytes: number, options: CallOptions): Promise<Answer>;
}

/** JSON over HTTPS for any cloud. The key goes to `baseUrl` alone: redirects are not followed. */
export function createHttp(deps: HttpDeps): Http {
  const { clock, pacer, random = Math.random } = deps;
  let opened: Promise<Client> | undefined;
  const client = async (): Promise<Client> => (opened ??= openClient());

  async function send(
    url: URL,
    what: string,
    init: Pick<Dispatcher.RequestOptions, 'method' | 'body' | 'headers'>,
    {
      repeat,
      timeoutSeconds = TIMEOUT_SECONDS,
      maxBytes = MAX_BYTES,
      quietSeconds,
    }: Partial<HttpOrder>,
    mask: Mask,
    options: CallOptions,
  ): Promise<Answer> {
    const { request, kept, fresh } = await client();
    // A stream ends itself a little before its time is over.
    const limit = quietSeconds === undefined ? timeoutSeconds : timeoutSeconds + GRACE_SECONDS;
    return withinSeconds(limit, options, async ({ signal, isOver }) => {
      try {
        const dispatcher = repeat === 'never' ? fresh : kept;
        const answer = await request(url, { ...init, path: undefined, signal, dispatcher });
        const isStream = quietSeconds !== undefined && answer.statusCode < 300;
        const text = mask(
          isStream
            ? await readUntilQuiet(answer.body, { maxBytes, quietSeconds, timeoutSeconds })
            : await readLimited(answer.body, maxBytes),
        );
        const after = Number(answer.headers['retry-after']);
        return {
          status: answer.statusCode,
          body: parseJson(text),
          text,
          ...(after > 0 ? { retryAfterSeconds: Math.min(after, BACKOFF_CAP_SECONDS) } : {}),
        };
      } catch (thrown) {
        options.signal.throwIfAborted();
        if (isAppError(thrown)) throw thrown;
        throw noAnswer(deps.cloud, what, thrown, isOver(), mask);
      }
    });
  }

  async function exchange(order: HttpOrder, options: CallOptions): Promise<Answer> {
    await pacer.turn(order.lane, options, order.patienceSeconds);
    const url = new URL(order.path, deps.baseUrl);
    for (const [name, value] of Object.entries(order.query ?? {}))
      url.searchParams.set(name, typeof value === 'string' ? value : JSON.stringify(value));
    const body = order.body === undefined ? {} : { body: JSON.stringify(order.body) };
    const headers = {
      authorization: `Bearer ${deps.apiKey}`,
      accept: order.quietSeconds === undefined ? 'application/json' : 'text/event-stream',
      'user-agent': 'gpu-lease',
      ...(order.body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const mask = maskOf([deps.apiKey, ...(order.secrets ?? [])]);
    return send(url, order.what, { method: order.method, headers, ...body }, order, mask, options);
  }

  async function once<T>(request: HttpRequest<T>, options: CallOptions): Promise<T> {
    const answer = await exchange(request, options);
    if (answer.status >= 300 || deps.isRefusal?.(answer.body) === true)
      throw deps.failureOf(answer, request.what);
    // Orders may be answered by a status alone; a question never is.
    const isBare = answer.text === '' && request.method !== 'GET';
    const body = isBare ? null : answer.body;
    if (body === undefined)
      throw new NoAnswerError(
        `${request.what}: ${deps.cloud} answered something that is no JSON.`,
        {
          wasSent: true,
          foreignText: answer.text,
        },
      );
    const parsed = request.schema.safeParse(body);
    if (parsed.success) return parsed.data;
    const paths = parsed.error.issues.map(({ path, code }) => `${path.join('.')}: ${code}`);
    throw new ProviderError(
      'provider_contract',
      `${request.what}: ${deps.cloud} answered in an unknown shape.`,
      { cause: new Error(paths.slice(0, 5).join('; ')) },
    );
  }

  /** After a 429 nobody of the lane goes on; after no answer only this call waits. */
  async function backOff(error: AppError, tries: number, lane: string, options: CallOptions) {
    const isLimit = error.code === 'rate_limited';
    const first = isLimit ? deps.backoffSeconds : UNAVAILABLE_BACKOFF_SECONDS;
    const grown = first * 2 ** (tries - 1) * (1 + random() / 4);
    const seconds = Math.min(BACKOFF_CAP_SECONDS, Math.max(grown, error.retryAfterSeconds ?? 0));
    if (isLimit) pacer.hold(lane, seconds);
    await clock.sleep(seconds, options);
  }

  return {
    exchange,
    async call(request, options) {
      options.signal.throwIfAborted();
      return pRetry(async () => once(request, options), {
        signal: options.signal,
        retries: request.repeat === 'never' ? 0 : TRIES.rate_limited - 1,
        minTimeout: 0,
        shouldRetry: ({ error, attemptNumber }) => attemptNumber < triesOf(error),
        async onFailedAttempt({ error, attemptNumber, retriesLeft }) {
          if (retriesLeft > 0 && attemptNumber < triesOf(error) && isAppError(error))
            await backOff(error, attemptNumber, request.lane, options);
        },
      });
    },
    async fetchFile(url, maxBytes, options) {
      const mask = maskOf([deps.apiKey]);
      const init = { method: 'GET', headers: { 'user-agent': 'gpu-lease' } } as const;
      return send(new URL(url), 'The file', init, { repeat: 'safe', maxBytes }, mask, options);
    },
  };
}

function triesOf(error: unknown): number {
  if (error instanceof NoAnswerError && error.timedOut) return TRIES.timed_out;
  if (!isAppError(error) || error instanceof TooSoonError) return 0;
  return error.code === 'rate_limited' || error.code === 'provider_unavailable'
    ? TRIES[error.code]
    : 0;
}

interface Client {
  readonly request: (url: URL, options: object) => Promise<Dispatcher.ResponseData>;
  readonly kept: Dispatcher;
  /** A connection of its own for what must not be repeated: a kept one may be closed under the request. */
  readonly fresh: Dispatcher;
}
async function openClient(): Promise<Client> {
  // In the bundle a CommonJS package has a default export only.
  const {
    default: { Agent, request },
  } = await import('undici');
  return {
    request: async (url, options) => request(url, options),
    kept: new Agent(),
    fresh: new Agent({ pipelining: 0 }),
  };
}

function maskOf(secrets: readonly string[]): Mask {
  const known = secrets.filter((secret) => secret.length >= 6 && !/^\d+$/.test(secret));
  const forms = new Set(known.flatMap((secret) => [secret, encodeURIComponent(secret)]));
  return (text) =>
    [...forms].reduce((masked, secret) => masked.replaceAll(secret, '[redacted]'), text);
}
