import { type CallOptions, type Clock, OVER } from '../core/call.ts';
import { CancelledError, RemoteError } from '../core/errors.ts';
import type { SessionRecord } from '../core/session.ts';
import { findMarks, programOutput } from './framing.ts';
import { isUnreachable, type Link } from './link.ts';
import { within } from './wait.ts';

const HEAD_BYTES = 64 * 1024;
const OVERLAP_BYTES = 200;
/** Beyond the time of the watch, for a link that must be made first; and then for what comes over it. */
const GRACE_SECONDS = 2;
const LEAST_SECONDS = 0.5;
/** Kept to look for `until` in. */
const UNTIL_BYTES = 64 * 1024;

export interface Watched {
  /** First byte after the command line of the watched command. */
  readonly outputStart: number | undefined;
  /** The watched command ended: the byte its output ends before, and the first one after its mark. */
  readonly ended:
    | { readonly outputEnd: number; readonly after: number; readonly exitCode: number | undefined }
    | undefined;
  readonly shellEnded: boolean;
  readonly matched: boolean;
  /** Every byte seen so far ends here. */
  readonly seenTo: number;
  /** The first bytes from the start of the watch. */
  readonly head: Buffer;
  readonly unreachable: boolean;
}

export interface WatchRequest {
  readonly record: SessionRecord;
  readonly key: string;
  readonly offset: number;
  readonly commandId: string | undefined;
  readonly until: string | undefined;
  readonly seconds: number;
  /** Stop once this much silence followed the first bytes; absent: wait for the end. */
  readonly quietSeconds: number | undefined;
}

/**
 * Follows a transcript until the command or the shell ends, `until` is seen, silence follows output, or time is up. A cut
 * link is mended and followed on from where it broke; nothing is read twice.
 */
export async function watch(
  link: Link,
  clock: Clock,
  request: WatchRequest,
  options: CallOptions,
): Promise<Watched> {
  const { record, key, offset, commandId, until, seconds, quietSeconds } = request;
  const deadline = clock.now().getTime() + seconds * 1000;
  const head: Buffer[] = [];
  let headBytes = 0;
  let tail = Buffer.alloc(0);
  let recent = Buffer.alloc(0);
  let seenTo = offset;
  let outputStart: number | undefined;
  let ended: Watched['ended'];
  let shellEnded = false;
  let matched = false;
  let cut = false;
  let unreachable = false;
  let wake: (() => void) | undefined;

  const take = (chunk: Buffer | undefined, at: number): void => {
    if (chunk === undefined) {
      cut = true;
    } else if (at === seenTo) {
      if (headBytes < HEAD_BYTES) head.push(chunk);
      headBytes += chunk.length;
      seenTo += chunk.length;
      const window = Buffer.concat([tail, chunk]);
      for (const mark of findMarks(window, seenTo - window.length, key)) {
        if (mark.kind === 'X') shellEnded = true;
        else if (mark.id === commandId && mark.kind === 'T') outputStart ??= mark.end;
        else if (mark.id === commandId && mark.kind === 'E')
          ended ??= { outputEnd: mark.start, after: mark.end, exitCode: mark.exitCode };
      }
      tail = Buffer.from(window.subarray(-OVERLAP_BYTES));
      if (until !== undefined) {
        recent = Buffer.concat([recent, chunk]);
        matched ||= programOutput(recent).includes(until);
        if (recent.length > UNTIL_BYTES) recent = Buffer.from(recent.subarray(-UNTIL_BYTES / 2));
      }
    }
    wake?.();
  };

  while (!isDecided()) {
    stopIfAborted();
    const left = secondsLeft();
    if (left <= 0) break;
    cut = false;
    let stop: (() => void) | undefined;
    try {
      stop = await listen(left + GRACE_SECONDS);
      unreachable = false;
      await settle(Math.max(secondsLeft(), Math.min(left, LEAST_SECONDS)));
      if (!isCut()) break;
    } catch (failure) {
      if (!isUnreachable(failure)) throw failure;
      unreachable = true;
    } finally {
      stop?.();
    }
    await clock.sleep(Math.min(0.2, left), options);
  }
  return {
    outputStart,
    ended,
    shellEnded,
    matched,
    seenTo,
    head: Buffer.concat(head),
    unreachable,
  };

  function secondsLeft(): number {
    return (deadline - clock.now().getTime()) / 1000;
  }
  /** What is given up may still come: nobody hears it then. */
  async function listen(seconds: number): Promise<() => void> {
    const listening = link.listen(record, seenTo, take, options);
    return within(
      seconds,
      options,
      async () => listening,
      () => {
        listening.then(
          (late) => {
            late();
          },
          () => undefined,
        );
        return new RemoteError('ssh_unreachable', 'The machine does not answer.');
      },
    );
  }
  function isDecided(): boolean {
    return ended !== undefined || shellEnded || matched;
  }
  function stopIfAborted(): void {
    if (options.signal.aborted)
      throw new CancelledError('cancelled', 'Cancelled by the caller; the session goes on.');
  }
  function isCut(): boolean {
    return cut;
  }

  /** Until something decides, the link is cut, or the time is over. */
  async function settle(left: number): Promise<void> {
    const until = clock.now().getTime() + left * 1000;
    for (;;) {
      if (isDecided() || cut) return;
      const remaining = (until - clock.now().getTime()) / 1000;
      if (remaining <= 0) return;
      const before = seenTo;
      const quiet = quietSeconds !== undefined && seenTo > offset;
      const changed = await change(quiet ? Math.min(quietSeconds, remaining) : remaining);
      if (!changed && quiet && seenTo === before) return;
    }
  }

  async function change(limit: number): Promise<boolean> {
    const stopSleep = new AbortController();
    const { signal } = stopSleep;
    const stop = (): void => {
      stopSleep.abort(OVER);
    };
    options.signal.addEventListener('abort', stop, { once: true });
    if (options.signal.aborted) stop();
    const changed = new Promise<true>((resolve) => {
      wake = () => {
        resolve(true);
      };
    });
    const slept = clock.sleep(limit, { signal }).then(
      () => false,
      () => false,
    );
    const result = await Promise.race([changed, slept]);
    wake = undefined;
    options.signal.removeEventListener('abort', stop);
    stop();
    stopIfAborted();
    return result;
  }
}
