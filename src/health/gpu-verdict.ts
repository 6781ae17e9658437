import { type Judged, judged } from './judged.ts';
import type { Gpu, PodFacts } from './pod-probe.ts';

const HOT_C = 83;
const SLOW_CLOCK_SHARE = 0.7;
const TAKEN_VRAM_MIB = 500;
const DEADLY_XIDS = ['48', '79'];
/** Hardware slowdown, software and hardware thermal slowdown, power brake: bits of the driver's throttle mask. */
const SLOWDOWN_BITS = 0x8 | 0x20 | 0x40 | 0x80;

/** The driver as a whole, then card by card. */
export function gpuTroubles(facts: PodFacts): readonly Judged[] {
  return [...driver(facts), ...facts.gpus.flatMap(gpu)];
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
