import type { CallOptions } from '../core/call.ts';
import { InputError, isAppError, RemoteError } from '../core/errors.ts';
import type { ExecResult } from '../core/remote.ts';
import type { SessionRecord, SessionWrite } from '../core/session.ts';
import { wasSilence } from './connect-failure.ts';
import { nonceOf } from './framing.ts';
import { KEY_BYTES, KEY_SIGNALS } from './keys.ts';
import { isUnreachable } from './link.ts';
import { type Delivery, deliverCall, deliverScript } from './pod-script/deliver.ts';
import { within } from './wait.ts';
import type { WriteDeps } from './write.ts';

/** Up to here the input travels inside the script, which saves a round of copying on the pod. */
const INLINE_BYTES = 16 * 1024;
/** A terminal that reads lines drops what is beyond 4,095 bytes of one. */
const MAX_LINE_BYTES = 4000;
const SHOWN_CHARS = 2000;
/** From the start of the call; whoever is slower than this is given a little more to say so. */
const DELIVER_SECONDS = 20;
const LEAST_SECONDS = 5;
const LAST_WORDS_SECONDS = 4;

/**
 * Types one write into its session once, within some 25 s of `startedAt`. Answers the words of the pod. Throws `link_lost`
 * where it may have been typed, and `ssh_unreachable` only where nothing was sent.
 */
export async function deliver(
  { remote, writers, link, clock }: WriteDeps,
  { sessionId, podId, folder, terminal }: SessionRecord,
  request: SessionWrite,
  {
    key,
    writeId,
    startedAt,
  }: { readonly key: string; readonly writeId: string; readonly startedAt: number },
  options: CallOptions,
): Promise<readonly string[]> {
  const { input, newline, secret } = request;
  const text = input ?? (request.key === undefined ? '' : KEY_BYTES[request.key]);
  const inputBytes = Buffer.byteLength(text);
  const inline = inputBytes <= INLINE_BYTES;
  const signal = request.key === undefined ? undefined : KEY_SIGNALS[request.key];
  if (terminal === 'pipe' && request.key === 'ctrl-d')
    throw new InputError(
      'unsupported',
      'This session has no terminal, so it has no end of input.',
      {
        hint: 'Send key "ctrl-c", or give the input with a here-document.',
      },
    );
  const delivery: Delivery = {
    folder,
    writeId,
    // Only a whole line can be a command; keys and half lines go to the terminal as they are.
    ...(input !== undefined && newline && input.trim() !== ''
      ? {
          command: { nonce: nonceOf(key, writeId), shown: shown(input, secret) },
        }
      : {}),
    inputBytes,
    seenTo: link.seenTo(sessionId),
    isText: input !== undefined,
    newline: newline && input !== undefined,
    secret,
    signal,
    isLongLine: text.split('\n').some((line) => Buffer.byteLength(line) > MAX_LINE_BYTES),
    isInterrupt: request.key === 'ctrl-c' || request.key === 'ctrl-\\',
  };
  const whole: Delivery = inline ? { ...delivery, input: text } : delivery;
  // A script of its own may stand in the command line of a shell, where everybody on the machine reads it.
  const byStdin = secret || !inline;
  const said = inline ? await writers.ask(podId, writeId, deliverCall(whole), options) : undefined;
  if (typeof said === 'object' && !isFull(said.answer)) return lastWords(said.answer);
  let mayHaveArrived = said === 'silent';
  const secondsLeft = (): number => DELIVER_SECONDS - (clock.now().getTime() - startedAt) / 1000;

  const script = deliverScript(byStdin ? delivery : whole);
  // The same id every time: what was carried out without telling is not typed again.
  const attempt = async (): Promise<ExecResult> => {
    const seconds = Math.max(LEAST_SECONDS, secondsLeft());
    // By then a connection or a channel that does not come was reported as such: the script was sent.
    return within(
      seconds + LAST_WORDS_SECONDS,
      options,
      async (given) =>
        remote.exec(podId, script, {
          ...given,
          timeoutSeconds: seconds,
          ...(byStdin ? { stdin: text } : {}),
        }),
      unknownOutcome,
    ).catch((failure: unknown) => {
      const isLate = isAppError(failure) && failure.code === 'command_timeout';
      mayHaveArrived ||= isLate || (isAppError(failure) && failure.code === 'link_lost');
      throw mayHaveArrived && (isLate || isUnreachable(failure))
        ? unknownOutcome(failure)
        : failure;
    });
  };
  const { stdout, stderr } = await attempt().catch(async (failure: unknown) => {
    if (!isUnreachable(failure) || wasSilence(failure) || secondsLeft() < LEAST_SECONDS)
      throw failure;
    return attempt();
  });
  if (isFull(stderr.toString('utf8')))
    throw new RemoteError('disk_full', 'The pod has no space left for the command.');
  const words = lastWords(stdout.toString('utf8'));
  // An earlier try may lie in a link that stands still, and be typed later on.
  if (mayHaveArrived && ['locked', 'unread'].includes(words[0] ?? '')) throw unknownOutcome();
  return words;
}

const UNKNOWN_OUTCOME =
  'The link broke while the input was typed; it is not known whether it arrived.';
export function unknownOutcome(cause?: unknown): RemoteError {
  return new RemoteError('link_lost', UNKNOWN_OUTCOME, {
    hint: 'Look with session_read before writing again.',
    cause,
  });
}

/** The same failure; of an unknown outcome it also says from where on nothing of the transcript has been shown. */
export function withOffset(failure: unknown, shownTo: number | undefined): unknown {
  if (!(failure instanceof RemoteError) || failure.message !== UNKNOWN_OUTCOME) return failure;
  if (shownTo === undefined) return failure;
  return new RemoteError('link_lost', UNKNOWN_OUTCOME, {
    hint: `Look with session_read, offset ${shownTo}, before writing again: what was shown so far ends there.`,
    cause: failure.cause,
  });
}

export function isFull(text: string): boolean {
  return /No space left|Disk quota/.test(text);
}

function lastWords(text: string): readonly string[] {
  return text.trim().split('\n').at(-1)?.split(' ') ?? [];
}

function shown(input: string, secret: boolean): string {
  if (secret) return '$ [secret input]';
  return input.length <= SHOWN_CHARS
    ? `$ ${input}`
    : `$ ${input.slice(0, SHOWN_CHARS)} [${input.length - SHOWN_CHARS} more characters]`;
}
