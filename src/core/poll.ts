import type { CallOptions, Clock } from './call.ts';

export interface PollOptions extends CallOptions {
  readonly clock: Clock;
  readonly timeoutSeconds: number;
  readonly everySeconds: number;
}

/**
 * The one place where we wait for the world: looks at once, then every `everySeconds`, until `look` answers
 * something or the time is over (`undefined`). An abort rejects; it never cancels what was ordered.
 */
export async function poll<T>(
  look: () => Promise<T | undefined>,
  { clock, timeoutSeconds, everySeconds, signal }: PollOptions,
): Promise<T | undefined> {
  const end = clock.now().getTime() + timeoutSeconds * 1000;
  for (;;) {
    signal.throwIfAborted();
    const seen = await look();
    if (seen !== undefined) return seen;
    const left = (end - clock.now().getTime()) / 1000;
    if (left <= 0) return undefined;
    await clock.sleep(Math.min(everySeconds, left), { signal });
  }
}
