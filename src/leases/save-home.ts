import path from 'node:path';
import type { CallOptions, Clock } from '../core/call.ts';
import { count } from '../core/count.ts';
import { isAppError } from '../core/errors.ts';
import type { Files } from '../core/files.ts';
import type { JobId, PodId } from '../core/ids.ts';
import type { Job, Jobs } from '../core/job.ts';
import type { Lease } from '../core/lease.ts';
import { rescuePlace } from '../core/left-behind.ts';
import { limitOf, withinSeconds } from './deps.ts';
import type { Ledger } from './ledger.ts';

/** A pull that brought nothing new is not repeated at once. */
const PAUSE_SECONDS = 60;
const PULL_LIMIT_SECONDS = 900;
const LEAD_SECONDS = 600;

export interface SaveDeps {
  readonly ledger: Ledger;
  readonly jobs: Pick<Jobs, 'list'>;
  /** Writes below `folder`. */
  readonly files: Pick<Files, 'gates' | 'fetch'>;
  /** Where it goes; said in the log. */
  readonly folder: string;
  readonly clock: Clock;
}

/** Brings declared artifacts home that nobody fetched, before a pod is destroyed without asking. */
export interface SaveHome {
  /** Begins in the background when the end is near. */
  begin(lease: Lease): void;
  /** Waits until what was begun is done, at most so long. Never throws: what could not be saved stays a gate. */
  finish(lease: Lease, seconds: number): Promise<void>;
}

/** Whether it is time to begin: ten minutes before the deadline, or a third of a short life. Stopped pods keep their disk. */
export function isTimeToSave(lease: Lease, now: Date): boolean {
  const { podId, readyAt, stoppedAt, terms, createdAt, deadlineAt, state } = lease;
  if (state !== 'open' || podId === undefined || readyAt === undefined) return false;
  if (stoppedAt !== undefined || terms.onExpiry === 'stop') return false;
  const life = (Date.parse(deadlineAt) - Date.parse(createdAt)) / 1000;
  const left = (Date.parse(deadlineAt) - now.getTime()) / 1000;
  return left <= Math.min(LEAD_SECONDS, life / 3);
}

export function createSaveHome({ ledger, jobs, files, folder, clock }: SaveDeps): SaveHome {
  const running = new Map<string, Promise<void>>();
  const endedAt = new Map<string, number>();

  async function saveJob(
    lease: Lease,
    podId: PodId,
    jobId: JobId,
    options: CallOptions,
  ): Promise<void> {
    const below = rescuePlace(podId, jobId);
    const request = { podId, jobId, paths: [], exclude: [], strict: false, dryRun: false };
    const fetched = await files.fetch({ ...request, localPath: below, verify: 'load' }, options);
    const { totalFiles } = fetched.manifest;
    if (totalFiles > 0)
      await ledger.note(
        'saved',
        lease,
        `Before the end ${count(totalFiles, 'declared file')} of ${jobId} came home to ${path.join(folder, below)}; ${fetched.missing.length} missing.`,
      );
  }

  async function save(lease: Lease, signal: AbortSignal): Promise<void> {
    const { podId } = lease;
    if (podId === undefined) return;
    const declaring = (await jobs.list(podId)).filter(declares);
    if (declaring.length === 0) return;
    const open = await files.gates(podId, { signal });
    const wanted = declaring.filter(({ jobId }) =>
      open.some((gate) => (gate.jobId ?? jobId) === jobId && gate.gate !== 'artifact_broken'),
    );
    for (const { jobId } of wanted)
      try {
        await saveJob(lease, podId, jobId, { signal });
      } catch (failure) {
        signal.throwIfAborted();
        const code = isAppError(failure) ? failure.code : 'internal';
        await ledger.note(
          'not_saved',
          lease,
          `Files of ${jobId} could not be brought home (${code}).`,
        );
      }
  }

  async function start(lease: Lease): Promise<void> {
    const { leaseId } = lease;
    const before = running.get(leaseId);
    if (before !== undefined) return before;
    const work = save(lease, limitOf(PULL_LIMIT_SECONDS))
      .catch(() => undefined)
      .finally(() => {
        running.delete(leaseId);
        endedAt.set(leaseId, clock.now().getTime());
      });
    running.set(leaseId, work);
    return work;
  }
  const isFresh = ({ leaseId }: Lease): boolean =>
    Math.abs(clock.now().getTime() - (endedAt.get(leaseId) ?? -Infinity)) < PAUSE_SECONDS * 1000;

  return {
    begin(lease) {
      if (!isFresh(lease)) void start(lease);
    },
    async finish(lease, seconds) {
      if (lease.state !== 'open' || lease.readyAt === undefined) return;
      await withinSeconds(seconds, clock, async () => start(lease)).catch(() => undefined);
    },
  };
}

const declares = ({ artifacts }: Job): boolean => artifacts.length > 0;
