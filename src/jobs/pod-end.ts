import type { PodId } from '../core/ids.ts';
import type { Job } from '../core/job.ts';
import type { Lease } from '../core/lease.ts';
import type { Store } from '../core/store.ts';

/** Closer than this every look says so. */
const NEAR_SECONDS = 900;

/** What a lease says about the end of its pod. */
export interface PodEnd {
  readonly isGone: boolean;
  /** When it ended, or will. */
  readonly at: Date;
  readonly onExpiry: 'destroy' | 'stop';
}

/** From the store, without any network. `undefined` for a machine of the user, and where the deadline cannot be read. */
export async function podEndOf(store: Store, podId: PodId): Promise<PodEnd | undefined> {
  const mine = (await store.leases.list()).filter((lease) => lease.podId === podId);
  const lease = mine.find(({ state }) => state !== 'closed') ?? mine.at(-1);
  return lease === undefined ? undefined : endOf(lease);
}

function endOf({ state, endedAt, deadlineAt, terms }: Lease): PodEnd | undefined {
  const isGone = state === 'closed';
  const at = new Date(isGone ? (endedAt ?? deadlineAt) : deadlineAt);
  return Number.isNaN(at.getTime()) ? undefined : { isGone, at, onExpiry: terms.onExpiry };
}

/** When a pod that is gone ended: never after its deadline, however late somebody looked. */
export function goneAt(end: PodEnd | undefined, now: Date): string {
  return (end === undefined || end.at > now ? now : end.at).toISOString();
}

type Declared = Pick<Job, 'artifacts'>;

/** Said at the start of a job that may run longer than its pod. */
export function shortLifeWords(
  end: PodEnd | undefined,
  { maxRuntimeMinutes, artifacts }: Declared & Pick<Job, 'maxRuntimeMinutes'>,
  now: Date,
): string | undefined {
  if (end === undefined || end.isGone) return undefined;
  const left = secondsTo(end, now);
  if (left >= maxRuntimeMinutes * 60) return undefined;
  return endWords(end, left, artifacts, `, before the limit of the job (${maxRuntimeMinutes} min)`);
}

/** Said at every look at a job whose pod ends soon. */
export function nearEndWords(
  end: PodEnd | undefined,
  { artifacts }: Declared,
  now: Date,
): string | undefined {
  if (end === undefined || end.isGone) return undefined;
  const left = secondsTo(end, now);
  return left > NEAR_SECONDS ? undefined : endWords(end, left, artifacts, '');
}

function endWords(
  { at, onExpiry }: PodEnd,
  left: number,
  artifacts: readonly string[],
  more: string,
): string {
  const time = left < 120 ? `${left} s` : `${Math.floor(left / 60)} min`;
  const when = `in ${time} (${at.toISOString().slice(0, 19)}Z)${more}`;
  const end =
    onExpiry === 'stop'
      ? `The pod stops ${when}, and the job ends with it.`
      : artifacts.length === 0
        ? `The pod ends ${when}, with every file that is not home by then.`
        : `The pod ends ${when}. Declared artifacts are brought home before that as far as there is time; every other file goes with it.`;
  return `${end} update_pod with ttlMinutes gives it longer.`;
}

function secondsTo({ at }: PodEnd, now: Date): number {
  return Math.max(0, Math.round((at.getTime() - now.getTime()) / 1000));
}
