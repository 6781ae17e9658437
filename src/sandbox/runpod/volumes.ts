import { billVolume } from './billing.ts';
import { DATA_CENTERS, dataCenter } from './data-centers.ts';
import type { Life } from './life.ts';
import { wordOf } from './market.ts';
import { Refusal } from './refusal.ts';
import { livingPods, strikes, type Volume, type World } from './world.ts';

const MAX_GB = 4_096;

export const listVolumes = (world: World): readonly Volume[] =>
  [...world.volumes.values()].filter(({ deletedAt }) => deletedAt === undefined);

/** Throws `not-found`. */
export function needVolume(world: World, id: string): Volume {
  const volume = world.volumes.get(id);
  if (volume === undefined || volume.deletedAt !== undefined)
    throw new Refusal('not-found', 'network volume not found');
  return volume;
}

/** Throws `unfit` for a data center without storage; `min` is the least size of the API that asks. */
export function createVolume(
  world: World,
  life: Life,
  wanted: {
    readonly name: string;
    readonly sizeGb: number;
    readonly dataCenterId: string;
    readonly type?: Volume['type'] | undefined;
    readonly minGb: number;
    readonly route: string;
  },
): Volume {
  const center = dataCenter(wanted.dataCenterId);
  const fails = strikes(world, 'storage-fails', {
    offerId: wanted.dataCenterId,
    route: `${wanted.route} ${wanted.dataCenterId}`,
  });
  if (fails !== undefined)
    throw new Refusal('unfit', `no storage cluster available in ${wanted.dataCenterId}`);
  if (center?.storage !== true)
    throw new Refusal('unfit', 'Failed to find data center, please try again.');
  checkSize(wanted.sizeGb, wanted.minGb);
  const volume: Volume = {
    id: wordOf(world.dice, 10),
    name: wanted.name,
    sizeGb: wanted.sizeGb,
    dataCenter: center,
    type: wanted.type ?? 'STANDARD',
    createdAt: world.clock.nowSeconds(),
    deletedAt: undefined,
  };
  world.volumes.set(volume.id, volume);
  billVolume(world, volume);
  life.settle();
  return volume;
}
function checkSize(sizeGb: number, minGb: number): void {
  if (!Number.isInteger(sizeGb) || sizeGb < minGb || sizeGb > MAX_GB)
    throw new Refusal('invalid', `size must be between ${minGb} and ${MAX_GB}`);
}

/** It only grows. */
export function changeVolume(
  world: World,
  life: Life,
  volume: Volume,
  change: { readonly name?: string | undefined; readonly sizeGb?: number | undefined },
): void {
  const { name, sizeGb } = change;
  if (sizeGb !== undefined) {
    checkSize(sizeGb, 0);
    if (sizeGb < volume.sizeGb)
      throw new Refusal('invalid', 'size must not be smaller than the current size');
    volume.sizeGb = sizeGb;
  }
  if (name !== undefined) volume.name = name;
  billVolume(world, volume);
  life.settle();
}

/** Throws `invalid` while a pod has it. */
export function deleteVolume(world: World, life: Life, volume: Volume): void {
  if (livingPods(world).some(({ order }) => order.networkVolumeId === volume.id))
    throw new Refusal('invalid', 'network volume is in use');
  volume.deletedAt = world.clock.nowSeconds();
  billVolume(world, volume);
  life.settle();
}

/** "EU-RO-1, US-KS-2": where volumes can be. */
export const storagePlaces = (): string =>
  DATA_CENTERS.filter(({ storage }) => storage)
    .map(({ id }) => id)
    .join(', ');
