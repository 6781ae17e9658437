import type { Clock } from '../core/call.ts';
import type { EmbeddedPodDeadline } from '../core/embedded-pod.ts';
import type { PodFolder } from './folder.ts';

/** Looked at this often, by wall clock: a machine that slept through a deadline ends the pod when it wakes. */
const LOOK_EVERY_SECONDS = 1;
/** What a sleep surely lasts; timers may fire a little early. */
const SURE_SECONDS = 0.99;
const UNREADABLE =
  'The deadline file cannot be read. The last deadline that could be read stays in force.';

export interface LifeDeps {
  readonly folder: Pick<PodFolder, 'deadline' | 'holder' | 'isRemoved'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told when something needs a person, and `undefined` when it is fine again. May fail: it is told again. */
  readonly alarm: (words: string | undefined) => Promise<void>;
}

/**
 * Waits for the end of the pod and says which: its deadline came, its folder was removed, it was told to stop, or another
 * process serves it now. A file that cannot be read is an alarm and never an end [CO-06].
 */
export async function watchLife({
  folder,
  clock,
  signal,
  alarm,
}: LifeDeps): Promise<'destroy' | 'stop' | 'replaced'> {
  let deadline: EmbeddedPodDeadline | undefined;
  let alarmed = false;
  // A clock that is set back gives no time that was not paid for; one deadline is measured from its first look on.
  let earliest = 0;
  while (!signal.aborted) {
    const read = await folder.deadline().catch(() => undefined);
    if ((read === undefined) !== alarmed) {
      const words = read === undefined ? UNREADABLE : undefined;
      const isTold = await alarm(words).then(
        () => true,
        () => false,
      );
      if (isTold) alarmed = read === undefined;
    }
    if (read !== undefined && read.deadlineAt !== deadline?.deadlineAt) earliest = 0;
    deadline = read ?? deadline;
    const now = Math.max(clock.now().getTime(), earliest);
    if (deadline !== undefined && Date.parse(deadline.deadlineAt) <= now) return deadline.onExpiry;
    if (await folder.isRemoved()) return 'destroy';
    const holder = await folder.holder();
    if (holder !== undefined && holder.pid !== process.pid) return 'replaced';
    await clock.sleep(LOOK_EVERY_SECONDS, { signal }).catch(() => undefined);
    earliest = now + SURE_SECONDS * 1000;
  }
  return 'stop';
}
