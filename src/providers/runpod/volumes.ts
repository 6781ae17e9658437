import type { CallOptions, Clock } from '../../core/call.ts';
import { InputError, isAppError } from '../../core/errors.ts';
import { localPartOf } from '../../core/ids.ts';
import type { Volume, Volumes, VolumeUse } from '../../core/provider.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import { podIdOf, volumeIdOf, volumeNameOf } from './ids.ts';
import type { OfferKey } from './offer-id.ts';
import { networkVolumeUsdPerMonth } from './prices.ts';
import type { VolumeRow } from './rows.ts';
import type { VolumeApi } from './volume-api.ts';

const LEAST_GB = 10;
const MOST_GB = 4000;
const FAILURE_SECONDS = 24 * 3600;

/** Data centers that refused a volume in the last 24 hours (OF-13). */
export interface StorageMemory {
  failed(dataCenterId: string): void;
  succeeded(dataCenterId: string): void;
  all(): ReadonlySet<string>;
}
export function createStorageMemory(clock: Clock): StorageMemory {
  const failures = new Map<string, number>();
  const now = (): number => clock.now().getTime() / 1000;
  return {
    failed(dataCenterId) {
      failures.set(dataCenterId, now() + FAILURE_SECONDS);
    },
    succeeded(dataCenterId) {
      failures.delete(dataCenterId);
    },
    all() {
      for (const [id, until] of failures) if (until <= now()) failures.delete(id);
      return new Set(failures.keys());
    },
  };
}

/** Disks of a data center: they outlive the pod, and are charged until they are removed. */
export function createVolumes(api: VolumeApi): Volumes {
  return {
    async listVolumes(options) {
      return (await api.list(options)).map(toVolume);
    },
    async removeVolume(volumeId, options) {
      options.signal.throwIfAborted();
      const name = volumeNameOf(localPartOf(volumeId));
      const row =
        name === undefined ? undefined : (await api.list(options)).find(({ id }) => id === name);
      if (row === undefined) return;
      if (row.podIds.length > 0) throw inUse();
      try {
        await api.remove(row.id, options);
      } catch (failure) {
        options.signal.throwIfAborted();
        if (!isAppError(failure)) throw failure;
        // Only the list tells whether it is missing.
        if (!(await api.list(options)).some(({ id }) => id === row.id)) return;
        throw failure.code === 'invalid_input' ? inUse(failure) : failure;
      }
    },
  };
}

function inUse(cause?: unknown): InputError {
  return new InputError('unsupported', 'The volume is attached to a pod.', {
    cause,
    hint: 'Destroy that pod first.',
  });
}

export function toVolume({ id, name, sizeGb, podIds }: VolumeRow): Volume {
  return {
    volumeId: volumeIdOf(id),
    name: quoteForeign(name, 64),
    sizeGb,
    usdPerMonth: networkVolumeUsdPerMonth(sizeGb),
    podIds: podIds.map(podIdOf),
  };
}

/**
 * Refuses a volume that cannot be there, before RunPod is asked for anything: it needs the secure cloud and one data center
 * (OF-22). Throws `invalid_input` or `unsupported`.
 */
export function checkVolumeUse(use: VolumeUse, key: OfferKey): string {
  if (key.cloud !== 'secure')
    throw new InputError(
      'unsupported',
      'A network volume needs the secure cloud; this offer is of the community cloud.',
      {
        hint: 'Call find_offer with providers ["runpod"] and the region of the volume, and take an offer that names its data center.',
      },
    );
  if (key.isSpot && key.dataCenterId === undefined)
    throw new InputError('unsupported', 'A network volume needs an offer in one data center.');
  if (key.dataCenterId === undefined)
    throw new InputError(
      'unsupported',
      'A network volume lies in one data center; this offer leaves the place open.',
      {
        hint: 'Call find_offer with providers ["runpod"] and regions, like ["EU-RO-1"], and take an offer that names its data center.',
      },
    );
  if (
    'newGb' in use &&
    (!Number.isInteger(use.newGb) || use.newGb < LEAST_GB || use.newGb > MOST_GB)
  )
    throw new InputError(
      'invalid_input',
      `The size of a new volume is a whole number from ${LEAST_GB} to ${MOST_GB} GB.`,
    );
  return key.dataCenterId;
}

/** The volume that exists, checked to lie where the offer is; `undefined` for one that is yet to be made. */
export async function existingVolume(
  api: Pick<VolumeApi, 'list'>,
  use: VolumeUse,
  dataCenterId: string,
  options: CallOptions,
): Promise<VolumeRow | undefined> {
  if (!('volumeId' in use)) return undefined;
  const name = volumeNameOf(use.volumeId);
  const row =
    name === undefined ? undefined : (await api.list(options)).find(({ id }) => id === name);
  if (row === undefined)
    throw new InputError('not_found', 'The RunPod account has no such volume.', {
      hint: 'Call list_pods for the volumes of the account.',
    });
  const place = row.dataCenterId.toUpperCase();
  if (place !== dataCenterId)
    throw new InputError('unsupported', 'The volume lies in another data center than this offer.', {
      hint: /^[A-Z0-9-]{2,20}$/.test(place)
        ? `A volume never leaves its data center: call find_offer with providers ["runpod"] and regions ["${place}"].`
        : 'A volume never leaves its data center: choose an offer there.',
    });
  return row;
}
