import { execFile } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import path from 'node:path';
import type { CallOptions } from '../../core/call.ts';
import { offerIdSchema } from '../../core/ids.ts';
import type { Offer } from '../../core/offer.ts';

export interface Gpu {
  readonly name: string;
  readonly vramMib: number;
}
export interface Hardware {
  readonly vcpu: number;
  readonly ramGb: number;
  readonly freeDiskGb: number;
  readonly gpus: readonly Gpu[];
}

const QUERY = ['--query-gpu=name,memory.total', '--format=csv,noheader,nounits'];

/** What this machine really has: GPUs by `nvidia-smi` where there is one, the disk of `folder`. */
export async function measureHardware(folder: string, options: CallOptions): Promise<Hardware> {
  const limit = process.constrainedMemory();
  const ram = limit > 0 && limit < totalmem() ? limit : totalmem();
  return {
    vcpu: availableParallelism(),
    ramGb: tenths(ram / 2 ** 30),
    freeDiskGb: tenths((await freeDiskBytes(folder)) / 1e9),
    gpus: parseGpus(await nvidiaSmi(options)),
  };
}

/** Lines of "NVIDIA GeForce RTX 4090, 24564". What is not such a line is no GPU. */
export function parseGpus(csv: string): readonly Gpu[] {
  return csv.split('\n').flatMap((line) => {
    const [, name, vram] = /^\s*([^,]+?)\s*,\s*(\d+)\s*$/.exec(line) ?? [];
    return name === undefined || Number(vram) <= 0 ? [] : [{ name, vramMib: Number(vram) }];
  });
}

/** One offer for each GPU model, and the machine without its GPUs for rehearsals, which comes last. */
export function toOffers(hardware: Hardware): readonly Offer[] {
  const common = {
    provider: 'local' as const,
    vcpu: hardware.vcpu,
    ramGb: hardware.ramGb,
    diskGb: Math.max(hardware.freeDiskGb, 0.1),
    region: 'this machine',
    pricing: 'on_demand' as const,
    usdPerHour: 0,
    usdPerHourStopped: 0,
  };
  const models = new Map<string, readonly Gpu[]>();
  for (const gpu of hardware.gpus) {
    const key = `${slug(gpu.name)}-${nominalGb(gpu)}gb`;
    models.set(key, [...(models.get(key) ?? []), gpu]);
  }
  const gpuOffers = [...models].flatMap(([key, cards]): Offer[] => {
    const [first] = cards;
    if (first === undefined) return [];
    return [
      {
        ...common,
        offerId: offerIdSchema.parse(`local:${key}-x${cards.length}`),
        gpu: first.name,
        gpuCount: cards.length,
        vramGb: nominalGb(first),
      },
    ];
  });
  return [
    ...gpuOffers,
    { ...common, offerId: offerIdSchema.parse('local:cpu'), gpuCount: 0, rehearsal: true },
  ];
}

/** A 24,564 MiB card counts as 24. */
function nominalGb({ vramMib }: Gpu): number {
  return Math.max(1, Math.round(vramMib / 1024));
}

function slug(name: string): string {
  const words = name.toLowerCase().replace(/^nvidia\s+/, '');
  return (
    words
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 60) || 'gpu'
  );
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Of the nearest folder that exists: the pods' own folder may not be made yet. */
async function freeDiskBytes(folder: string): Promise<number> {
  const found = await statfs(folder).catch(() => undefined);
  if (found !== undefined) return found.bavail * found.bsize;
  const parent = path.dirname(folder);
  return parent === folder ? 0 : freeDiskBytes(parent);
}

async function nvidiaSmi({ signal }: CallOptions): Promise<string> {
  // A signal of its own: a program that does not exist would leave its listener on the caller's signal for good.
  const options = { signal: AbortSignal.any([signal]), timeout: 10_000 };
  const text = await new Promise<string>((resolve) => {
    execFile('nvidia-smi', QUERY, options, (error, stdout) => {
      resolve(error === null ? stdout : '');
    });
  });
  signal.throwIfAborted();
  return text;
}
