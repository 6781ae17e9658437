import { timeLimit } from '../core/call.ts';
import { ProviderError } from '../core/errors.ts';
import { quoteForeign } from '../core/untrusted.ts';

/** Hides what no error may quote. */
export type Mask = (text: string) => string;

export interface NoAnswerOptions extends ErrorOptions {
  /** Whether the cloud may have got the request, and done what it asks. */
  readonly wasSent: boolean;
  readonly timedOut?: boolean;
  readonly foreignText?: string;
  readonly hint?: string;
}

/** No whole answer came, so what the request did is not known unless it was never sent. */
export class NoAnswerError extends ProviderError {
  readonly wasSent: boolean;
  readonly timedOut: boolean;

  constructor(
    message: string,
    { wasSent, timedOut = false, foreignText, ...rest }: NoAnswerOptions,
  ) {
    super('provider_unavailable', message, {
      ...rest,
      ...(foreignText === undefined
        ? {}
        : { foreignText: quoteForeign(plainOf(foreignText), 500) }),
    });
    this.wasSent = wasSent;
    this.timedOut = timedOut;
  }
}

const NOT_FOUND = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA', 'EAI_NONAME']);
const NOT_REACHED = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const NOT_TRUSTED = /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

/** Words what went wrong below HTTP. */
export function noAnswer(
  cloud: string,
  what: string,
  thrown: unknown,
  timedOut: boolean,
  mask: Mask,
): NoAnswerError {
  const code = codeOf(thrown);
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const cause = new Error(mask(`${code} ${text}`).trim());
  const told = (why: string, wasSent: boolean): NoAnswerError =>
    new NoAnswerError(`${what}: ${why}`, { wasSent, timedOut, cause });
  if (NOT_FOUND.has(code)) return told(`the address of ${cloud} could not be found.`, false);
  if (NOT_REACHED.has(code)) return told(`${cloud} could not be reached.`, false);
  if (NOT_TRUSTED.test(code))
    return told(`the certificate of ${cloud} cannot be trusted, so nothing was sent.`, false);
  if (timedOut) return told(`${cloud} did not answer in time.`, true);
  return told(`the connection to ${cloud} broke before its answer was there.`, true);
}

/** Of an error or of the error behind it, since some clients wrap. */
function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return '';
  if ('code' in thrown && typeof thrown.code === 'string') return thrown.code;
  if (thrown instanceof AggregateError) return codeOf(thrown.errors[0]);
  return codeOf(thrown.cause);
}

/** The body as text. Throws `provider_contract` above `maxBytes`: nothing that long was asked for. */
export async function readLimited(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    // Leaving the loop closes the connection.
    if (bytes > maxBytes)
      throw new ProviderError('provider_contract', `An answer is longer than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes).toString('utf8');
}

export interface StreamLimits {
  readonly maxBytes: number;
  readonly quietSeconds: number;
  readonly timeoutSeconds: number;
}

/**
 * What a stream without an end has said: until nothing came for `quietSeconds` after the first piece, until `timeoutSeconds`,
 * or `maxBytes` are there. Leaves the stream closed.
 */
export async function readUntilQuiet(
  body: AsyncIterable<Uint8Array>,
  { maxBytes, quietSeconds, timeoutSeconds }: StreamLimits,
): Promise<string> {
  const whole = timeLimit(timeoutSeconds);
  const pieces = body[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const limit = bytes === 0 ? whole : AbortSignal.any([whole, timeLimit(quietSeconds)]);
      const piece = await Promise.race([pieces.next(), over(limit)]);
      if (piece === 'over' || piece.done === true) break;
      chunks.push(piece.value);
      bytes += piece.value.byteLength;
      if (bytes >= maxBytes) break;
    }
  } finally {
    void pieces.return?.().catch(() => undefined);
  }
  return Buffer.concat(chunks, bytes).subarray(0, maxBytes).toString('utf8');
}

async function over(signal: AbortSignal): Promise<'over'> {
  return new Promise((resolve) => {
    const stop = (): void => {
      resolve('over');
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

/** `undefined`: not JSON. */
export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

/** What a person would read of an HTML page; other text stays as it is. */
export function plainOf(text: string): string {
  if (!/^\s*<(?:!doctype|html|\?xml|head|body)/i.test(text)) return text;
  return text
    .slice(0, 20_000)
    .replace(/<(script|style)\b[^>]{0,500}>[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]{0,500}>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}
