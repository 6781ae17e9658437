import type { Finding } from '../core/job.ts';
import type { Gpu, PodFacts } from './pod-probe.ts';

export type Verdict = 'ok' | 'warn' | 'rerent' | 'unknown';

const FULL_PERCENT = 95;
const MEMORY_PERCENT = 90;
const HOT_C = 83;
const SLOW_CLOCK_SHARE = 0.7;
const SMALL_SHM_KB = 1024 * 1024;
const TAKEN_VRAM_MIB = 500;
const MAX_SKEW_SECONDS = 60;
const DEADLY_XIDS = ['48', '79'];
/** Software and hardware slowdown, thermal slowdown, power brake: bits of the driver's throttle mask. */
const SLOWDOWN_BITS = 0x8 | 0x20 | 0x40 | 0x80;

interface Judged {
  readonly level: 'ok' | 'warn' | 'rerent';
  readonly finding: Finding;
}

/** The rules HE-* over one probe. The verdict only climbs: ok, warn, rerent [HE-05]. */
export function judge(
  facts: PodFacts,
  localNowSeconds: number,
): { readonly verdict: Exclude<Verdict, 'unknown'>; readonly findings: readonly Finding[] } {
  const judged = [
    ...storage(facts),
    ...memory(facts),
    ...clock(facts, localNowSeconds),
    ...driver(facts),
    ...facts.gpus.flatMap(gpu),
  ];
  const verdict = judged.some(({ level }) => level === 'rerent')
    ? 'rerent'
    : judged.some(({ level }) => level === 'warn')
      ? 'warn'
      : 'ok';
  return { verdict, findings: judged.map(({ finding }) => finding) };
}

function judged(
  level: Judged['level'],
  code: string,
  kind: string,
  remedy: string,
  evidence: string,
): Judged {
  const retryable = level === 'rerent' ? 'other_host' : 'after_fix';
  return { level, finding: { code, class: kind, retryable, remedy, evidence } };
}

function storage({
  diskTotalKb,
  diskFreeKb,
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

function driver({ gpuTool, gpus, xids, kernelLog }: PodFacts): readonly Judged[] {
  const found: Judged[] = [];
  if (gpuTool === 'broken' || (gpuTool === 'yes' && gpus.length === 0))
    found.push(
      judged(
        'rerent',
        'HE-05-driver',
        'host_fault',
        'The driver of the GPU does not answer: destroy this pod and rent another.',
        'nvidia-smi failed or lists no GPU',
      ),
    );
  const numbers = (xids ?? '').split(' ').filter((xid) => /^\d{1,3}$/.test(xid));
  const deadly = numbers.filter((xid) => DEADLY_XIDS.includes(xid));
  if (deadly.length > 0)
    found.push(
      judged(
        'rerent',
        'HE-03-dead',
        'host_fault',
        'The kernel log holds a GPU hardware fault: rent another machine.',
        `Xid ${deadly.join(', ')}`,
      ),
    );
  else if (numbers.length > 0)
    found.push(
      judged(
        'warn',
        'HE-03',
        'host_fault',
        'The kernel log holds GPU faults, usually of a program.',
        `Xid ${numbers.join(', ')}`,
      ),
    );
  if (kernelLog === 'unreadable' && gpuTool === 'yes')
    found.push(
      judged(
        'warn',
        'HE-03-log',
        'unknown',
        'The kernel log cannot be read here, as is usual in containers: hardware faults may be hidden.',
        'dmesg is not readable',
      ),
    );
  return found;
}

function gpu(card: Gpu): readonly Judged[] {
  const found: Judged[] = [];
  const which = `GPU ${card.index}`;
  const hot = card.temperatureC !== undefined && card.temperatureC >= HOT_C;
  const share =
    card.clockMhz !== undefined && card.maxClockMhz !== undefined && card.maxClockMhz > 0
      ? card.clockMhz / card.maxClockMhz
      : undefined;
  if (hot && share !== undefined && share < SLOW_CLOCK_SHARE)
    found.push(
      judged(
        'rerent',
        'HE-02',
        'host_fault',
        'The card is hot and slowed down: rent another machine.',
        `${which}: ${card.temperatureC ?? 0} °C, ${Math.round(share * 100)} % of its clock`,
      ),
    );
  else if (hot)
    found.push(
      judged(
        'warn',
        'HE-01',
        'host_fault',
        'The card is hot: watch its clock.',
        `${which}: ${card.temperatureC ?? 0} °C`,
      ),
    );
  if (((card.throttleMask ?? 0) & SLOWDOWN_BITS) !== 0)
    found.push(
      judged(
        'rerent',
        'HE-04',
        'host_fault',
        'The driver throttles the card: rent another machine.',
        `${which}: throttle mask ${card.throttleMask ?? 0}`,
      ),
    );
  if ((card.eccUncorrected ?? 0) > 0)
    found.push(
      judged(
        'rerent',
        'HE-10-ecc',
        'host_fault',
        'The memory of the card is broken: rent another machine.',
        `${which}: ${card.eccUncorrected ?? 0} uncorrected errors`,
      ),
    );
  if ((card.memoryUsedMib ?? 0) >= TAKEN_VRAM_MIB && (card.utilizationPercent ?? 0) === 0)
    found.push(
      judged(
        'warn',
        'HE-14',
        'oom_vram',
        'GPU memory is taken while nothing computes: end what is left of earlier runs before starting.',
        `${which}: ${card.memoryUsedMib ?? 0} MiB used`,
      ),
    );
  return found;
}

/** Rounded down, so that 100 means full. Nothing is known about 0 of 0. */
function usedPercent(total: number | undefined, free: number | undefined): number | undefined {
  if (total === undefined || free === undefined || total <= 0) return undefined;
  return Math.floor(((total - free) / total) * 100);
}
