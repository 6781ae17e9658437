import type { BookedInstance } from '../../core/sandbox.ts';
import type { Instance } from './instance.ts';
import { type FileSystem, volumeMeterId, type World } from './world.ts';

const GIB = 1024 ** 3;
const USD_PER_GIB_MONTH = 0.2;
const HOURS_PER_MONTH = 730;

/** Charged from `active` until somebody asks for the end, healthy or not. */
export function bill(world: World, instance: Instance): void {
  const { meterId, endedAt, activeAt, centsPerHour } = instance;
  if (endedAt !== undefined) world.meter.end(meterId);
  else if (activeAt !== undefined)
    world.meter.set(meterId, { gpuUsdPerHour: centsPerHour / 100, diskUsdPerHour: 0 });
}

/** Charged for what lies on it, mounted or not. */
export function billFileSystem(world: World, { id, bytesUsed, deletedAt }: FileSystem): void {
  if (deletedAt !== undefined) world.meter.end(volumeMeterId(id));
  else
    world.meter.set(volumeMeterId(id), {
      gpuUsdPerHour: 0,
      diskUsdPerHour: ((bytesUsed / GIB) * USD_PER_GIB_MONTH) / HOURS_PER_MONTH,
    });
}

/** Every instance and file system there ever was. */
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
  const instances = [...world.instances.values()].map(
    (one): BookedInstance => ({
      id: one.id,
      kind: 'instance',
      label: one.name,
      offerId: `${one.kind.name}@${one.region.name}`,
      gpu: one.kind.description,
      state: one.terminatedAt === undefined ? one.status : 'destroyed',
      ...line(one.meterId),
      createdAtSeconds: one.createdAt,
      endedAtSeconds: one.terminatedAt,
    }),
  );
  const volumes = [...world.fileSystems.values()].map(
    (one): BookedInstance => ({
      id: `V.${one.id}`,
      kind: 'volume',
      label: one.name,
      state: one.deletedAt === undefined ? 'created' : 'destroyed',
      ...line(volumeMeterId(one.id)),
      createdAtSeconds: one.createdAt,
      endedAtSeconds: one.deletedAt,
    }),
  );
  return [...instances, ...volumes];
}
