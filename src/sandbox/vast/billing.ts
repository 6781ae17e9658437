import type { BookedInstance } from '../../core/sandbox.ts';
import type { Instance } from './instance.ts';
import { diskUsdPerHour } from './offer-row.ts';
import { creditUsd, type Volume, volumeMeterId, type World } from './world.ts';

/** GPU time is charged in these states, and while a host that was running is silent. */
const bills = ({ actual, runningAt, cur }: Instance): boolean =>
  actual === 'running' ||
  actual === 'frozen' ||
  actual === 'rebooting' ||
  (actual === 'unknown' && runningAt !== undefined && cur === 'running');

/** What the contract costs now, by its state. */
export function ratesOf(instance: Instance): {
  readonly gpuUsdPerHour: number;
  readonly diskUsdPerHour: number;
} {
  const { actual, ask, diskGb, endedAt } = instance;
  if (endedAt !== undefined || actual === 'offline') return { gpuUsdPerHour: 0, diskUsdPerHour: 0 };
  const { machine } = ask;
  const disk = diskUsdPerHour(diskGb, machine.storageUsdPerGbMonth);
  const isStopped = actual === 'stopped' || actual === 'exited';
  return {
    gpuUsdPerHour: bills(instance) ? instance.usdPerHour : 0,
    diskUsdPerHour: isStopped ? disk * machine.stoppedStorageFactor : disk,
  };
}

/** Writes into the books what the instance's state costs from now on. */
export function bill(world: World, instance: Instance): void {
  const { meterId, endedAt } = instance;
  const rates = ratesOf(instance);
  if (endedAt !== undefined) world.meter.end(meterId);
  else world.meter.set(meterId, rates);
}

const GB = 1e9;
/** Charges what a connection moved. */
export function billTraffic(
  world: World,
  instance: Instance,
  outBytes: number,
  inBytes: number,
): void {
  if (!world.options.billTraffic) return;
  const { upUsdPerGb, downUsdPerGb } = instance.ask.machine;
  const [out, incoming] = [(outBytes / GB) * upUsdPerGb, (inBytes / GB) * downUsdPerGb];
  const { outUsd, inUsd } = instance.traffic;
  instance.traffic = { outUsd: outUsd + out, inUsd: inUsd + incoming };
  world.meter.transfer(instance.meterId, out, incoming);
}

export function billVolume(world: World, volume: Volume): void {
  const id = volumeMeterId(volume.id);
  if (volume.deletedAt !== undefined) world.meter.end(id);
  else
    world.meter.set(id, {
      gpuUsdPerHour: 0,
      diskUsdPerHour: diskUsdPerHour(volume.sizeGb, volume.machine.storageUsdPerGbMonth),
    });
}

/** Dollars an hour that the account burns now. */
export function burnUsdPerHour(world: World): number {
  let burn = 0;
  for (const instance of world.instances.values()) {
    const { gpuUsdPerHour, diskUsdPerHour: disk } = ratesOf(instance);
    burn += gpuUsdPerHour + disk;
  }
  for (const { id } of world.volumes.values())
    burn += world.meter.billing().find((entry) => entry.id === volumeMeterId(id))?.usdPerHour ?? 0;
  return burn;
}

/** Calls `onEmpty` when the account runs dry at the present prices. Answers how to take that back. */
export function watchCredit(world: World, onEmpty: () => void): () => void {
  const burn = burnUsdPerHour(world);
  const credit = creditUsd(world);
  if (burn <= 0 || credit <= 0) return () => undefined;
  // A moment later than exactly empty, so that rounding never leaves a last billionth.
  return world.clock.after((credit / burn) * 3_600 + 0.01, onEmpty);
}

/** Every contract and volume there ever was. */
export function booksOf(world: World): readonly BookedInstance[] {
  const now = world.clock.nowSeconds();
  const seconds = new Map<string, number>();
  for (const {
    id,
    fromSeconds,
    toSeconds,
    gpuUsdPerHour,
    diskUsdPerHour: disk,
  } of world.meter.history())
    if (gpuUsdPerHour + disk > 0)
      seconds.set(id, (seconds.get(id) ?? 0) + (toSeconds ?? now) - fromSeconds);
  const rates = new Map(world.meter.billing().map(({ id, usdPerHour }) => [id, usdPerHour]));
  const line = (meterId: string) => ({
    billing: rates.has(meterId),
    usdPerHour: rates.get(meterId) ?? 0,
    spentUsd: world.meter.spentUsd(meterId),
    billedSeconds: seconds.get(meterId) ?? 0,
  });
  const instances = [...world.instances.values()].map(
    (one): BookedInstance => ({
      id: String(one.id),
      kind: 'instance',
      label: one.label ?? undefined,
      offerId: String(one.ask.id),
      machineId: String(one.ask.machine.machineId),
      gpu: `${one.ask.count} x ${one.ask.machine.gpu.name}`,
      state: one.endedAt === undefined ? (one.actual ?? 'null') : 'destroyed',
      ...line(one.meterId),
      createdAtSeconds: one.createdAt,
      endedAtSeconds: one.endedAt,
    }),
  );
  const volumes = [...world.volumes.values()].map(
    (one): BookedInstance => ({
      id: `V.${one.id}`,
      kind: 'volume',
      label: one.name,
      machineId: String(one.machine.machineId),
      state: one.deletedAt === undefined ? 'created' : 'destroyed',
      ...line(volumeMeterId(one.id)),
      createdAtSeconds: one.createdAt,
      endedAtSeconds: one.deletedAt,
    }),
  );
  return [...instances, ...volumes];
}
