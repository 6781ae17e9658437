import type { BookedInstance } from '../../core/sandbox.ts';
import type { Pod } from './pod.ts';
import { creditUsd, type Volume, volumeMeterId, type World } from './world.ts';

const HOURS_PER_MONTH = 730;
const DISK_USD_PER_GB_MONTH = 0.1;
const STOPPED_VOLUME_USD_PER_GB_MONTH = 0.2;
const NETWORK_VOLUME_USD_PER_GB_MONTH = 0.07;
/** Above the first terabyte. */
const LARGE_VOLUME_USD_PER_GB_MONTH = 0.05;

const perHour = (gb: number, usdPerGbMonth: number): number =>
  (gb * usdPerGbMonth) / HOURS_PER_MONTH;

/** What the pod costs now. A stopped one keeps its volume, at twice the price, and no container. */
export function ratesOf({ desired, endedAt, usdPerHour, order }: Pod): {
  readonly gpuUsdPerHour: number;
  readonly diskUsdPerHour: number;
} {
  if (endedAt !== undefined) return { gpuUsdPerHour: 0, diskUsdPerHour: 0 };
  if (desired === 'EXITED')
    return {
      gpuUsdPerHour: 0,
      diskUsdPerHour: perHour(order.volumeGb, STOPPED_VOLUME_USD_PER_GB_MONTH),
    };
  return {
    gpuUsdPerHour: usdPerHour,
    diskUsdPerHour: perHour(order.diskGb + order.volumeGb, DISK_USD_PER_GB_MONTH),
  };
}

export function volumeUsdPerHour(sizeGb: number): number {
  const first = Math.min(sizeGb, 1_000);
  return (
    perHour(first, NETWORK_VOLUME_USD_PER_GB_MONTH) +
    perHour(sizeGb - first, LARGE_VOLUME_USD_PER_GB_MONTH)
  );
}

/** Writes into the books what the pod's state costs from now on. */
export function bill(world: World, pod: Pod): void {
  if (pod.endedAt !== undefined) world.meter.end(pod.meterId);
  else world.meter.set(pod.meterId, ratesOf(pod));
}
export function billVolume(world: World, { id, sizeGb, deletedAt }: Volume): void {
  if (deletedAt !== undefined) world.meter.end(volumeMeterId(id));
  else
    world.meter.set(volumeMeterId(id), {
      gpuUsdPerHour: 0,
      diskUsdPerHour: volumeUsdPerHour(sizeGb),
    });
}

/** Dollars an hour that the account burns now, by kind. */
export function burn(world: World): {
  readonly gpu: number;
  readonly disk: number;
  readonly volumes: number;
} {
  let [gpu, disk, volumes] = [0, 0, 0];
  for (const pod of world.pods.values()) {
    const rates = ratesOf(pod);
    gpu += rates.gpuUsdPerHour;
    disk += rates.diskUsdPerHour;
  }
  for (const { sizeGb, deletedAt } of world.volumes.values())
    if (deletedAt === undefined) volumes += volumeUsdPerHour(sizeGb);
  return { gpu, disk, volumes };
}
export const burnUsdPerHour = (world: World): number => {
  const { gpu, disk, volumes } = burn(world);
  return gpu + disk + volumes;
};

/** Calls `onEmpty` when the account runs dry at the present prices. Answers how to take that back. */
export function watchCredit(world: World, onEmpty: () => void): () => void {
  const rate = burnUsdPerHour(world);
  const credit = creditUsd(world);
  if (rate <= 0 || credit <= 0) return () => undefined;
  // A moment later than exactly empty, so that rounding never leaves a last billionth.
  return world.clock.after((credit / rate) * 3_600 + 0.01, onEmpty);
}

/** Every pod and network volume there ever was. */
export function booksOf(world: World): readonly BookedInstance[] {
  const now = world.clock.nowSeconds();
  const seconds = new Map<string, number>();
  for (const span of world.meter.history())
    if (span.gpuUsdPerHour + span.diskUsdPerHour > 0)
      seconds.set(
        span.id,
        (seconds.get(span.id) ?? 0) + (span.toSeconds ?? now) - span.fromSeconds,
      );
  const rates = new Map(world.meter.billing().map(({ id, usdPerHour }) => [id, usdPerHour]));
  const line = (meterId: string) => ({
    billing: rates.has(meterId),
    usdPerHour: rates.get(meterId) ?? 0,
    spentUsd: world.meter.spentUsd(meterId),
    billedSeconds: seconds.get(meterId) ?? 0,
  });
  const pods = [...world.pods.values()].map(
    (pod): BookedInstance => ({
      id: pod.id,
      kind: 'instance',
      label: pod.name,
      offerId: pod.host.gpu.id,
      machineId: pod.host.machineId,
      gpu: `${pod.gpuCount} x ${pod.host.gpu.displayName}`,
      state: pod.endedAt === undefined ? pod.phase : 'destroyed',
      ...line(pod.meterId),
      createdAtSeconds: pod.createdAt,
      endedAtSeconds: pod.endedAt,
    }),
  );
  const volumes = [...world.volumes.values()].map(
    (volume): BookedInstance => ({
      id: volume.id,
      kind: 'volume',
      label: volume.name,
      state: volume.deletedAt === undefined ? 'created' : 'destroyed',
      ...line(volumeMeterId(volume.id)),
      createdAtSeconds: volume.createdAt,
      endedAtSeconds: volume.deletedAt,
    }),
  );
  return [...pods, ...volumes];
}
