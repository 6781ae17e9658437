import type { Offer } from '../core/offer.ts';
import { quoteForeign } from '../core/untrusted.ts';

/** Prints `name=value` lines about the pod; needs sh and coreutils, uses nvidia-smi where there is one. Takes the work folder as `$1`. */
export const MEASURE_SCRIPT = `
say() { [ -n "$2" ] && printf '%s=%s\\n' "$1" "$2"; }
say vcpu "$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null)"
while read -r key value unit; do [ "$key" = MemTotal: ] && say memKb "$value"; done </proc/meminfo 2>/dev/null
for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
  [ -r "$file" ] && say memLimitBytes "$(cat "$file" 2>/dev/null)"
done
df -Pk "$1" 2>/dev/null | while read -r dev total used free rest; do say diskKb "$total $free"; done
df -Pi "$1" 2>/dev/null | while read -r dev total used free rest; do say inodes "$total $free"; done
if command -v nvidia-smi >/dev/null 2>&1; then
  nvidia-smi --query-gpu=name,memory.total --format=csv,noheader,nounits 2>/dev/null | while read -r line; do say gpu "$line"; done
  say driver "$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)"
fi
exit 0`;

export interface Measured {
  readonly facts: Readonly<Record<string, string | number>>;
  readonly gpuCount: number;
  /** Of the smallest GPU. */
  readonly vramGb?: number | undefined;
}

const KB_PER_GB = 1024 * 1024;
const MIB_PER_GB = 1024;
const BYTES_PER_GB = 1024 ** 3;

/** What `MEASURE_SCRIPT` printed, as facts. Lines that do not parse are left out. Pure. */
export function measuredFrom(text: string): Measured {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at > 0)
      values.set(line.slice(0, at), [...(values.get(line.slice(0, at)) ?? []), line.slice(at + 1)]);
  }
  const last = (name: string): string | undefined => values.get(name)?.at(-1);
  const vcpu = numberOf(last('vcpu'));
  const memory = Math.min(
    (numberOf(last('memKb')) ?? Infinity) / KB_PER_GB,
    (numberOf(last('memLimitBytes')) ?? Infinity) / BYTES_PER_GB,
  );
  const [diskTotal, diskFree] = pairOf(last('diskKb'));
  const [, inodesFree] = pairOf(last('inodes'));
  const gpus = (values.get('gpu') ?? []).map((line) => {
    const cut = line.lastIndexOf(',');
    return { name: line.slice(0, cut), mib: numberOf(line.slice(cut + 1)) };
  });
  const sizes = gpus.flatMap(({ mib }) => mib ?? []);
  const vramGb = sizes.length === 0 ? undefined : round(Math.min(...sizes) / MIB_PER_GB);
  const driver = last('driver');
  return {
    gpuCount: gpus.length,
    vramGb,
    facts: {
      ...(vcpu === undefined ? {} : { vcpu }),
      ...(Number.isFinite(memory) ? { ramGb: round(memory) } : {}),
      ...(diskTotal === undefined ? {} : { diskGb: round(diskTotal / KB_PER_GB) }),
      ...(diskFree === undefined ? {} : { diskFreeGb: round(diskFree / KB_PER_GB) }),
      ...(inodesFree === undefined ? {} : { inodesFree }),
      gpuCount: gpus.length,
      ...(gpus[0] === undefined ? {} : { gpu: quoteForeign(gpus[0].name, 80) }),
      ...(vramGb === undefined ? {} : { vramGb }),
      ...(driver === undefined ? {} : { driver: quoteForeign(driver, 40) }),
    },
  };
}

/** Nominal and real memory of a card differ by a few per cent; half a card is another card. */
const VRAM_TOLERANCE = 0.9;

/** Why the machine is not what was paid for, in our words; `undefined`: it is (OF-17, RE-13). */
export function mismatchOf(offer: Offer, measured: Measured): string | undefined {
  if (offer.rehearsal === true || offer.gpuCount === 0) return undefined;
  if (measured.gpuCount < offer.gpuCount)
    return `${measured.gpuCount} GPUs are visible and ${offer.gpuCount} are paid for.`;
  if (
    offer.vramGb !== undefined &&
    measured.vramGb !== undefined &&
    measured.vramGb < offer.vramGb * VRAM_TOLERANCE
  )
    return `The GPU has ${measured.vramGb} GB and ${offer.vramGb} GB are paid for.`;
  return undefined;
}

function numberOf(text: string | undefined): number | undefined {
  const number = Number(text?.trim());
  return text === undefined || text.trim() === '' || !Number.isFinite(number) || number < 0
    ? undefined
    : number;
}
function pairOf(text: string | undefined): readonly (number | undefined)[] {
  return (text ?? '').split(' ').map(numberOf);
}
function round(value: number): number {
  return Math.round(value * 10) / 10;
}
