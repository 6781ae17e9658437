import type { CallOptions } from '../../core/call.ts';
import { InputError, isAppError, ProviderError } from '../../core/errors.ts';
import { localPartOf } from '../../core/ids.ts';
import type { Volume, Volumes, VolumeUse } from '../../core/provider.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import type { VastApi } from './api.ts';
import { podIdOf, volumeIdOf, volumeNumberOf } from './ids.ts';
import type { VolumeOffer, VolumeRow } from './wire.ts';

const HOURS_PER_MONTH = 720;
const NAME = /^[A-Za-z0-9_]{1,64}$/;

/** Local disks of one machine each: they outlive the pod, and are charged until they are removed. */
export function createVastVolumes(api: VastApi): Volumes {
  return {
    async listVolumes(options) {
      return (await api.volumes(options)).map(toVolume);
    },
    async removeVolume(volumeId, options) {
      options.signal.throwIfAborted();
      const number = volumeNumberOf(localPartOf(volumeId));
      if (number === undefined) return;
      try {
        await api.deleteVolume(number, options);
      } catch (failure) {
        options.signal.throwIfAborted();
        if (!isAppError(failure)) throw failure;
        // Only the list tells whether it is missing or in use.
        const row = (await api.volumes(options)).find(({ id }) => id === number);
        if (row === undefined) return;
        if (failure.code !== 'invalid_input') throw failure;
        throw new InputError('unsupported', 'The volume is attached to a pod.', {
          cause: failure,
          hint: 'Destroy that pod first; the volume is free about 30 seconds later.',
        });
      }
    },
  };
}

export function toVolume(row: VolumeRow): Volume {
  const usdPerMonth = monthlyUsd(row, row.disk_space ?? undefined);
  return {
    volumeId: volumeIdOf(row.id),
    name: quoteForeign(row.label ?? '', 64),
    sizeGb: row.disk_space ?? 0,
    podIds: (row.instances ?? [])
      .filter((id) => /^[1-9]\d{0,14}$/.test(id))
      .map((id) => podIdOf(Number(id))),
    ...(usdPerMonth === undefined ? {} : { usdPerMonth }),
    ...(row.machine_id == null ? {} : { machineId: String(row.machine_id) }),
  };
}

function monthlyUsd(
  { storage_cost, storage_total_cost }: Pick<VolumeRow, 'storage_cost' | 'storage_total_cost'>,
  sizeGb: number | undefined,
): number | undefined {
  if (storage_cost != null && sizeGb !== undefined) return storage_cost * sizeGb;
  return storage_total_cost == null ? undefined : storage_total_cost * HOURS_PER_MONTH;
}

function hourlyUsd(perMonth: number | undefined): number {
  return perMonth === undefined ? Infinity : perMonth / HOURS_PER_MONTH;
}

export interface VolumePlan {
  /** `volume_info` of the creation. */
  readonly info: Readonly<Record<string, unknown>>;
  /** In our own words, for the person who agrees. */
  readonly notes: readonly string[];
  /** The name under which a new volume is found again; absent for one that exists. */
  readonly newName?: string;
  /** What it adds to the price at most; infinite where nobody tells. */
  readonly usdPerHour: number;
  /** Volumes that had that name before: they are somebody's. */
  readonly namesakes?: readonly number[];
}

/**
 * What to send so that the volume is there when the pod starts. Throws `invalid_input` for a wrong name or path, `not_found`,
 * and `unsupported` for a volume on another machine, one in use, or a machine without room for a new one.
 */
export async function planVolume(
  api: Pick<VastApi, 'volumes' | 'volumeOffers'>,
  use: VolumeUse,
  machineId: string | undefined,
  freshName: string,
  options: CallOptions,
): Promise<VolumePlan> {
  if (!/^\/[^\0\n:]*[^\0\n:/]$/.test(use.mountPath))
    throw new InputError(
      'invalid_input',
      'The mount path of the volume must be an absolute path.',
      {
        hint: 'Write it like "/data". "/" cannot be one.',
      },
    );
  return 'volumeId' in use
    ? linkExisting(api, use, machineId, options)
    : makeNew(api, use, machineId, freshName, options);
}

async function linkExisting(
  api: Pick<VastApi, 'volumes'>,
  { volumeId, mountPath }: Extract<VolumeUse, { volumeId: string }>,
  machineId: string | undefined,
  options: CallOptions,
): Promise<VolumePlan> {
  const number = volumeNumberOf(volumeId);
  const row =
    number === undefined ? undefined : (await api.volumes(options)).find(({ id }) => id === number);
  if (number === undefined || row === undefined)
    throw new InputError('not_found', 'The Vast.ai account has no such volume.', {
      hint: 'Call list_pods for the volumes of the account.',
    });
  const at = row.machine_id == null ? undefined : String(row.machine_id);
  if (at !== undefined && at !== machineId)
    throw new InputError('unsupported', 'The volume lies on another machine than this offer.', {
      hint: `A Vast.ai volume never leaves its machine: use find_offer with vastQuery "machine_id=${at}".`,
    });
  if ((row.instances ?? []).length > 0)
    throw new InputError('unsupported', 'The volume is attached to another pod.', {
      hint: 'Destroy that pod first; the volume is free about 30 seconds later.',
    });
  const usdPerMonth = monthlyUsd(row, row.disk_space ?? undefined);
  const size = row.disk_space == null ? '' : ` of ${row.disk_space} GB`;
  const price = usdPerMonth === undefined ? '' : ` (about $${usdPerMonth.toFixed(2)} a month)`;
  return {
    info: { create_new: false, volume_id: number, mount_path: mountPath },
    notes: [
      `The volume V.${number}${size} is linked at ${mountPath}. It is charged as before${price}, and stays when the pod is destroyed.`,
    ],
    usdPerHour: hourlyUsd(usdPerMonth),
  };
}

async function makeNew(
  api: Pick<VastApi, 'volumes' | 'volumeOffers'>,
  { newGb, mountPath, name = '' }: Extract<VolumeUse, { newGb: number }>,
  machineId: string | undefined,
  freshName: string,
  options: CallOptions,
): Promise<VolumePlan> {
  const newName = name === '' ? freshName : name;
  if (!NAME.test(newName))
    throw new InputError('invalid_input', 'The name of a volume has letters, digits and "_" only.');
  if (!Number.isInteger(newGb) || newGb < 1)
    throw new InputError('invalid_input', 'The size of a new volume is a whole number of GB.');
  const offer =
    machineId === undefined ? undefined : await cheapestOn(api, Number(machineId), newGb, options);
  if (offer === undefined)
    throw new InputError(
      'unsupported',
      'The machine of this offer has no room for such a volume.',
      {
        hint: 'Choose another offer, a smaller volume, or a larger diskGb instead of a volume.',
      },
    );
  const namesakes =
    newName === freshName
      ? []
      : (await api.volumes(options)).filter(({ label }) => label === newName).map(({ id }) => id);
  const usdPerMonth = monthlyUsd(offer, newGb);
  const price = usdPerMonth === undefined ? '' : ` (about $${usdPerMonth.toFixed(2)} a month)`;
  return {
    info: {
      create_new: true,
      volume_id: offer.id,
      size: newGb,
      mount_path: mountPath,
      name: newName,
    },
    notes: [
      `The new volume of ${newGb} GB${price} is charged beside the pod, and goes on being charged after the pod is destroyed, until it is removed.`,
    ],
    newName,
    namesakes,
    usdPerHour: hourlyUsd(usdPerMonth),
  };
}

async function cheapestOn(
  api: Pick<VastApi, 'volumeOffers'>,
  machine: number,
  sizeGb: number,
  options: CallOptions,
): Promise<VolumeOffer | undefined> {
  const body = {
    machine_id: { eq: machine },
    disk_space: { gte: sizeGb },
    allocated_storage: sizeGb,
    order: [['storage_cost', 'asc']],
  };
  return (await api.volumeOffers(body, options)).find(
    (offer) => offer.machine_id === machine && (offer.disk_space ?? 0) >= sizeGb,
  );
}

export interface NewVolume {
  readonly name: string;
  /** Others of that name, from before: never touched. */
  readonly namesakes: readonly number[];
}

/**
 * Takes back the new volume of a pod that never came to be: it holds nothing. Answers whether it is surely not there. A volume
 * frees only some time after its pod.
 */
export async function removeNewVolume(
  api: VastApi,
  { name, namesakes }: NewVolume,
  options: CallOptions,
): Promise<boolean> {
  const find = async (): Promise<VolumeRow | undefined> =>
    (await api.volumes(options)).find(({ id, label }) => label === name && !namesakes.includes(id));
  const row = await find();
  if (row === undefined) return true;
  await api.deleteVolume(row.id, options).catch((failure: unknown) => {
    options.signal.throwIfAborted();
    if (!(failure instanceof ProviderError || failure instanceof InputError)) throw failure;
  });
  return (await find()) === undefined;
}
