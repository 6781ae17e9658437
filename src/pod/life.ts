import { type Clock, hasPassed } from '../core/call.ts';
import type { EmbeddedPodDeadline } from '../core/embedded-pod.ts';
import type { PodFolder } from './folder.ts';

/** Looked at this often, by wall clock: a machine that slept through a deadline ends the pod when it wakes. */
const LOOK_EVERY_SECONDS = 1;
const UNREADABLE =
  'The deadline file cannot be read. The last deadline that could be read stays in force.';

export interface LifeDeps {
  readonly folder: Pick<PodFolder, 'deadline' | 'holder'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told when something needs a person, and `undefined` when it is fine again. */
  readonly alarm: (words: string | undefined) => Promise<void>;
}

/**
 * Waits for the end of the pod and says which: its deadline came, it was told to stop, or another process serves it now.
 * A deadline that cannot be read is an alarm and never an end [CO-06].
 */
export async function watchLife({
  folder,
  clock,
  signal,
  alarm,
}: LifeDeps): Promise<'destroy' | 'stop' | 'replaced'> {
  let deadline: EmbeddedPodDeadline | undefined;
  let alarmed = false;
  while (!signal.aborted) {
    const read = await folder.deadline().catch(() => undefined);
    if ((read === undefined) !== alarmed) {
      alarmed = read === undefined;
      await alarm(alarmed ? UNREADABLE : undefined);
    }
    deadline = read ?? deadline;
    if (deadline !== undefined && hasPassed(deadline.deadlineAt, clock)) return deadline.onExpiry;
    if ((await folder.holder())?.pid !== process.pid) return 'replaced';
    await clock.sleep(LOOK_EVERY_SECONDS, { signal }).catch(() => undefined);
  }
  return 'stop';
}
