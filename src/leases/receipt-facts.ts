import type { ArtifactRecord } from '../core/files.ts';
import type { Job } from '../core/job.ts';
import type { Lease } from '../core/lease.ts';
import type { SealedReceipt } from '../core/receipt.ts';
import { type LostOutput, notHomeOf } from '../core/unfetched.ts';

/** Who ended the pod: as it was ordered, or as its times tell where nobody here ordered it. */
export function endingOf(
  { ending, closingAt, deadlineAt }: Lease,
  endedAt: Date,
): NonNullable<SealedReceipt['ending']> {
  if (ending !== undefined) return ending;
  if (closingAt !== undefined) return { by: 'server', why: 'its end had been ordered' };
  return endedAt.getTime() >= Date.parse(deadlineAt)
    ? { by: 'pod', why: 'its deadline had come' }
    : { by: 'outside', why: 'nobody here had ordered it' };
}

/** What the pod itself said of its GPUs. */
export function gpuUuidsOf({ measured }: Lease): string[] {
  const told = measured?.['gpuUuids'];
  return typeof told === 'string' && told !== '' ? told.split(' ') : [];
}

/** Declared outputs that went with a pod that nobody could look at, beyond those that its waiver names. */
export function unseenLosses(
  { waiver }: Lease,
  jobs: readonly Job[],
  artifacts: readonly ArtifactRecord[],
  wasLookedAt: boolean,
): readonly LostOutput[] {
  const gates = waiver?.gates ?? [];
  // Of a job that still ran, nobody asked what it had written.
  const unseen = gates.filter(({ gate }) => gate === 'not_checked' || gate === 'job_running');
  const isUnseen = (jobId: string | undefined): boolean =>
    !wasLookedAt || unseen.some((gate) => (gate.jobId ?? jobId) === jobId);
  const named = gates.filter(({ gate }) => gate !== 'not_checked');
  return notHomeOf(jobs, artifacts).filter(
    ({ jobId, path }) =>
      isUnseen(jobId) && !named.some((gate) => gate.jobId === jobId && gate.path === path),
  );
}
