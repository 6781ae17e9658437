import type { Clock } from '../core/call.ts';

/** Does `round` again and again until `signal` aborts, and resolves then. A round that fails is done again next time. */
export async function keepAlive(task: {
  readonly clock: Clock;
  readonly everySeconds: number;
  readonly signal: AbortSignal;
  readonly round: () => Promise<void>;
}): Promise<void> {
  const { clock, everySeconds, signal, round } = task;
  for (;;) {
    await clock.sleep(everySeconds, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    await round().catch(() => undefined);
  }
}
