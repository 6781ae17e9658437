import type { Offer } from '../core/offer.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { isSameCard } from './same-card.ts';

/** Prints `name=value` lines about the GPUs. Needs sh; prints nothing where there is no driver. */
export const GPU_SCRIPT = `
if command -v nvidia-smi >/dev/null 2>&1; then
  nvidia-smi --query-gpu=name,memory.total --format=csv,noheader,nounits 2>/dev/null | while read -r line; do printf 'gpu=%s\\n' "$line"; done
  nvidia-smi --query-gpu=uuid --format=csv,noheader 2>/dev/null | while read -r line; do printf 'gpuUuid=%s\\n' "$line"; done
  printf 'driver=%s\\n' "$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)"
  nvidia-smi 2>/dev/null | sed -n 's/.*CUDA Version: *\\([0-9][0-9.]*\\).*/cuda=\\1/p' | head -n 1
fi
`;

/** Prints `name=value` lines about the machine; needs sh and coreutils. Takes the work folder as `$1`. */
export const MACHINE_SCRIPT = `
say() { [ -n "$2" ] && printf '%s=%s\\n' "$1" "$2"; }
say vcpu "$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null)"
while read -r key value unit; do [ "$key" = MemTotal: ] && say memKb "$value"; done </proc/meminfo 2>/dev/null
for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
  [ -r "$file" ] && say memLimitBytes "$(cat "$file" 2>/dev/null)"
done
df -Pk / 2>/dev/null | while read -r dev total used free rest; do say rootKb "$total $free"; done
df -Pk "$1" 2>/dev/null | while read -r dev total used free rest; do say diskKb "$total $free"; done
df -Pi "$1" 2>/dev/null | while read -r dev total used free rest; do say inodes "$total $free"; done
`;

/** Both, one after the other. */
export const MEASURE_SCRIPT = `${MACHINE_SCRIPT}${GPU_SCRIPT}`;

export interface Measured {
  readonly facts: Readonly<Record<string, string | number>>;
  readonly gpuCount: number;
  /** As the driver calls them. Foreign text. */
  readonly gpuNames: readonly string[];
  /** Of the smallest GPU. */
  readonly vramGb?: number | undefined;
  /** The newest CUDA that the driver carries: "12.4". */
  readonly cuda?: string | undefined;
  /** The larger of the work folder's disk and the root's. */
  readonly diskGb?: number | undefined;
  readonly diskFreeGb?: number | undefined;
  readonly inodes?: number | undefined;
  readonly inodesFree?: number | undefined;
}

const KB_PER_GB = 1024 * 1024;
const MIB_PER_GB = 1024;
const BYTES_PER_GB = 1024 ** 3;

/** What the scripts printed, as facts. Lines that do not parse are left out. Pure. */
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
  const [rootTotal] = pairOf(last('rootKb'));
  const [inodes, inodesFree] = pairOf(last('inodes'));
  const gpus = (values.get('gpu') ?? []).map((line) => {
    const cut = line.lastIndexOf(',');
    return { name: line.slice(0, cut), mib: numberOf(line.slice(cut + 1)) };
  });
  const sizes = gpus.flatMap(({ mib }) => mib ?? []);
  const vramGb = sizes.length === 0 ? undefined : round(Math.min(...sizes) / MIB_PER_GB);
  const uuids = (values.get('gpuUuid') ?? []).map((line) => line.trim()).filter(isUuid);
  const driver = last('driver');
  const cuda = /^\d{1,3}(?:\.\d{1,3})?$/.exec(last('cuda')?.trim() ?? '')?.[0];
  const diskFreeGb = diskFree === undefined ? undefined : round(diskFree / KB_PER_GB);
  return {
    gpuCount: gpus.length,
    gpuNames: gpus.map(({ name }) => name),
    vramGb,
    cuda,
    diskGb: diskTotal === undefined ? undefined : Math.max(diskTotal, rootTotal ?? 0) / KB_PER_GB,
    diskFreeGb,
    inodes,
    inodesFree,
    facts: {
      ...(vcpu === undefined ? {} : { vcpu }),
      ...(Number.isFinite(memory) ? { ramGb: round(memory) } : {}),
      ...(diskTotal === undefined ? {} : { diskGb: round(diskTotal / KB_PER_GB) }),
      ...(diskFreeGb === undefined ? {} : { diskFreeGb }),
      ...(inodesFree === undefined ? {} : { inodesFree }),
      gpuCount: gpus.length,
      ...(gpus[0] === undefined ? {} : { gpu: quoteForeign(gpus[0].name, 80) }),
      ...(vramGb === undefined ? {} : { vramGb }),
      ...(driver === undefined || driver === '' ? {} : { driver: quoteForeign(driver, 40) }),
      ...(cuda === undefined ? {} : { cuda }),
      ...(uuids.length === 0 ? {} : { gpuUuids: uuids.join(' ') }),
    },
  };
}

/** Nominal and real memory of a card differ by a few per cent; half a card is another card. */
const VRAM_TOLERANCE = 0.9;
/** A file system keeps some of its disk to itself. */
const DISK_TOLERANCE = 0.9;
const LEAST_FREE_SHARE = 0.5;
const LEAST_INODES = 10_000;

/** Why the GPUs are not what was paid for, in our words; `undefined`: they are (OF-17, RE-13). */
export function gpuMismatchOf(offer: Offer, measured: Measured): string | undefined {
  if (offer.rehearsal === true || offer.gpuCount === 0) return undefined;
  if (measured.gpuCount < offer.gpuCount)
    return `${measured.gpuCount} GPUs are visible and ${offer.gpuCount} are paid for.`;
  const { gpu, vramGb, cuda, machineId } = offer;
  if (gpu !== undefined && measured.gpuNames.some((name) => isSameCard(gpu, name) === false))
    return 'The GPU is another one than was paid for.';
  if (vramGb !== undefined && measured.vramGb !== undefined)
    if (measured.vramGb < vramGb * VRAM_TOLERANCE)
      return `The GPU has ${measured.vramGb} GB and ${vramGb} GB are paid for.`;
  // Of a kind of machine it is the newest that some carry; only of one machine it is a promise.
  const promised = machineId === undefined ? undefined : cuda;
  if (promised !== undefined && measured.cuda !== undefined)
    if (isOlder(measured.cuda, String(promised)))
      return `The driver carries CUDA ${measured.cuda} and CUDA ${promised} was advertised.`;
  return undefined;
}

/** Why the disk is not what was asked for, or cannot be worked on; `undefined`: it will do. */
export function diskMismatchOf(
  offer: Offer,
  diskGb: number,
  measured: Measured,
): string | undefined {
  // A disk of the user's own machine is as it is.
  if (offer.rehearsal === true || offer.provider === 'local' || offer.provider === 'ssh')
    return undefined;
  if (measured.diskGb !== undefined && measured.diskGb < diskGb * DISK_TOLERANCE)
    return `The disk has ${round(measured.diskGb)} GB and ${diskGb} GB were asked for.`;
  if (measured.diskFreeGb !== undefined && measured.diskFreeGb < diskGb * LEAST_FREE_SHARE)
    return `Only ${measured.diskFreeGb} GB of the disk are free and ${diskGb} GB were asked for.`;
  const { inodes = 0, inodesFree = 0 } = measured;
  // Some file systems count none.
  return inodes > 0 && inodesFree < LEAST_INODES
    ? `The disk has room for ${inodesFree} more files only.`
    : undefined;
}

/** Of a card, or of a slice of one. */
function isUuid(text: string): boolean {
  return /^(?:GPU|MIG)-[0-9A-Za-z/-]{4,80}$/.test(text);
}
function isOlder(one: string, other: string): boolean {
  const [major = 0, minor = 0] = one.split('.').map(Number);
  const [otherMajor = 0, otherMinor = 0] = other.split('.').map(Number);
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
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
