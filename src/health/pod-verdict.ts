import type { Finding } from '../core/job.ts';
import { gpuTroubles } from './gpu-verdict.ts';
import { type Judged, judged } from './judged.ts';
import type { PodFacts } from './pod-probe.ts';

export type Verdict = 'ok' | 'warn' | 'rerent' | 'unknown';

const FULL_PERCENT = 95;
const MEMORY_PERCENT = 90;
const SMALL_SHM_KB = 1024 * 1024;
const MAX_SKEW_SECONDS = 60;

/** The rules HE-* over one probe. The verdict only climbs: ok, warn, rerent [HE-05]. */
export function judge(
  facts: PodFacts,
  localNowSeconds: number,
): { readonly verdict: Exclude<Verdict, 'unknown'>; readonly findings: readonly Finding[] } {
  const all = [
    ...storage(facts),
    ...memory(facts),
    ...clock(facts, localNowSeconds),
    ...gpuTroubles(facts),
  ];
  const verdict = all.some(({ level }) => level === 'rerent')
    ? 'rerent'
    : all.some(({ level }) => level === 'warn')
      ? 'warn'
      : 'ok';
  return { verdict, findings: all.map(({ finding }) => finding) };
}

function storage({
  diskTotalKb,
  diskFreeKb,
  workDiskTotalKb,
  workDiskFreeKb,
  inodesTotal,
  inodesFree,
  shmTotalKb,
}: PodFacts): readonly Judged[] {
  const found: Judged[] = [];
  const disk = usedPercent(diskTotalKb, diskFreeKb);
  if (disk !== undefined && disk >= FULL_PERCENT)
    found.push(
      judged(
        'warn',
        'HE-08-disk',
        'disk',
        'The disk is nearly full: remove old checkpoints (never the best one) and caches.',
        `${disk} % of the disk is used`,
      ),
    );
  const work = usedPercent(workDiskTotalKb, workDiskFreeKb);
  const isOther = workDiskTotalKb !== diskTotalKb || workDiskFreeKb !== diskFreeKb;
  if (isOther && work !== undefined && work >= FULL_PERCENT)
    found.push(
      judged(
        'warn',
        'HE-08-work',
        'disk',
        'The disk of the work folder is nearly full: no job starts there under 64 MiB free. Remove old checkpoints (never the best one) and caches.',
        `${work} % of the disk of the work folder is used`,
      ),
    );
  const inodes = usedPercent(inodesTotal, inodesFree);
  if (inodes !== undefined && inodes >= FULL_PERCENT)
    found.push(
      judged(
        'warn',
        'HE-08-inodes',
        'disk',
        'Inodes are nearly used up: pack small files together.',
        `${inodes} % of the inodes are used`,
      ),
    );
  if (shmTotalKb !== undefined && shmTotalKb > 0 && shmTotalKb < SMALL_SHM_KB)
    found.push(
      judged(
        'warn',
        'HE-09',
        'config',
        'Shared memory is small: few loader workers, or file-system sharing.',
        `/dev/shm has ${Math.round(shmTotalKb / 1024)} MiB`,
      ),
    );
  return found;
}

function memory({
  memoryLimitBytes,
  memoryUsedBytes,
  memoryCacheBytes,
  oomKills,
}: PodFacts): readonly Judged[] {
  const found: Judged[] = [];
  if (memoryLimitBytes !== undefined && memoryUsedBytes !== undefined) {
    const used = Math.max(0, memoryUsedBytes - (memoryCacheBytes ?? 0));
    const percent = usedPercent(memoryLimitBytes, memoryLimitBytes - used);
    if (percent !== undefined && percent >= MEMORY_PERCENT)
      found.push(
        judged(
          'warn',
          'HE-07-memory',
          'oom_host',
          'The memory is nearly used up: fewer workers, or less caching.',
          `${percent} % of the memory limit is used`,
        ),
      );
  }
  if (oomKills !== undefined && oomKills > 0)
    found.push(
      judged(
        'warn',
        'HE-07-oom',
        'oom_host',
        'The memory limit has killed processes here: fewer workers, or more RAM.',
        `${oomKills} processes killed since the pod started`,
      ),
    );
  return found;
}

function clock({ now }: PodFacts, localNowSeconds: number): readonly Judged[] {
  const skew = Math.round(now - localNowSeconds);
  return Math.abs(skew) > MAX_SKEW_SECONDS
    ? [
        judged(
          'warn',
          'HE-13',
          'config',
          'The clock of the pod is off: signed requests and token lifetimes may fail. Job deadlines do not depend on it.',
          `${skew} s from ours`,
        ),
      ]
    : [];
}

/** Rounded down, so that 100 means full. Nothing is known about 0 of 0. */
function usedPercent(total: number | undefined, free: number | undefined): number | undefined {
  if (total === undefined || free === undefined || total <= 0) return undefined;
  return Math.floor(((total - free) / total) * 100);
}
