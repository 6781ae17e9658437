import type { CallOptions } from '../core/call.ts';
import { InputError, ProviderError } from '../core/errors.ts';
import type { Gate } from '../core/files.ts';
import { localPartOf, type PodId, providerOf } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { Ask, DestroyOutcome } from '../core/pods.ts';
import { poll } from '../core/poll.ts';
import type { Provider, Volume, Volumes } from '../core/provider.ts';
import type { PodsDeps } from './deps.ts';
import { limitOf, untilAborted } from './deps.ts';
import type { Looks } from './looks.ts';
import { findNewVolume } from './new-volume.ts';

const LISTING_LIMIT_SECONDS = 20;
const REMOVAL_LIMIT_SECONDS = 60;
const READ_BACK_EVERY_SECONDS = 3;

/** Disks that outlive pods: told when a pod ends, removed only by name. */
export type VolumesDeps = Pick<PodsDeps, 'providers' | 'store' | 'clock'> & {
  readonly looks: Pick<Looks, 'forgetVolumes'>;
};

export type AttachedVolume = NonNullable<Lease['volumes']>[number] & {
  /** Made with this very pod. */
  readonly isNew?: boolean;
};

/** The volumes that are attached to the pod; `undefined`: its cloud has none, or did not tell. */
export async function volumesOf(
  lease: Lease,
  provider: Provider | undefined,
): Promise<readonly AttachedVolume[] | undefined> {
  const { podId } = lease;
  if (podId === undefined || provider?.volumes === undefined) return undefined;
  const signal = limitOf(LISTING_LIMIT_SECONDS);
  try {
    const all = await untilAborted(provider.volumes.listVolumes({ signal }), signal);
    const made = findNewVolume(lease, all)?.volumeId;
    return all
      .filter(({ podIds, volumeId }) => podIds.includes(podId) || volumeId === made)
      .map(({ volumeId, sizeGb, usdPerMonth }) => ({
        volumeId,
        sizeGb,
        ...(usdPerMonth === undefined ? {} : { usdPerMonth }),
        ...(volumeId === made ? { isNew: true } : {}),
      }));
  } catch {
    return undefined;
  }
}

/** Whether the id can be the one of a volume: "vast:V.881". */
export function isVolumeId(podId: PodId): boolean {
  return localPartOf(podId).startsWith('V.');
}

/**
 * Removes a volume with what is on it, and reads back that it is gone. Its data is the only copy as far as anybody here knows: without
 * `discardUnfetched` and a reason, or when a person declines, it is `blocked`. Throws `not_found`, `teardown_unconfirmed`, and
 * `unsupported` while it is attached.
 */
export async function removeVolume(
  volumeId: PodId,
  request: {
    readonly discardUnfetched: boolean;
    readonly reason: string;
    readonly waitSeconds: number;
  },
  { ask, ...options }: CallOptions & { readonly ask: Ask },
  { providers, store, clock, looks }: VolumesDeps,
): Promise<DestroyOutcome> {
  const volumes = providers.get(providerOf(volumeId))?.volumes;
  if (volumes === undefined)
    throw new InputError('not_found', `There are no volumes on ${providerOf(volumeId)} here.`);
  const find = async (): Promise<Volume | undefined> => findVolume(volumeId, volumes, options);
  const volume = await find();
  if (volume === undefined) throw new InputError('not_found', 'There is no such volume.');
  if (volume.podIds.length > 0)
    throw new InputError('unsupported', `This volume is attached to ${volume.podIds.join(', ')}.`, {
      hint: 'Destroy that pod first; the volume stays.',
    });
  const missing: readonly Gate[] = [
    { gate: 'not_checked', why: 'What is on a volume may be the only copy of it.' },
  ];
  if (!request.discardUnfetched || request.reason === '') return { outcome: 'blocked', missing };
  const message = `Remove volume ${volumeId} (${volume.sizeGb} GB) with everything on it?`;
  if ((await ask({ message, field: 'discardUnfetched' })) === 'declined')
    return { outcome: 'blocked', missing, declined: true };
  const note = async (text: string): Promise<void> =>
    store.log.append({ at: clock.now().toISOString(), kind: 'volume', podId: volumeId, text });
  await note(`To be removed: ${request.reason}`);
  const signal = AbortSignal.any([options.signal, limitOf(REMOVAL_LIMIT_SECONDS)]);
  await untilAborted(volumes.removeVolume(volumeId, { signal }), signal);
  looks.forgetVolumes(providerOf(volumeId));
  const isGone = await poll(async () => ((await find()) === undefined ? true : undefined), {
    ...options,
    clock,
    timeoutSeconds: request.waitSeconds,
    everySeconds: READ_BACK_EVERY_SECONDS,
  });
  if (isGone === undefined)
    throw new ProviderError('teardown_unconfirmed', 'The volume is still listed.');
  await note('Seen gone.');
  return { outcome: 'gone' };
}

async function findVolume(
  volumeId: PodId,
  volumes: Volumes,
  { signal }: CallOptions,
): Promise<Volume | undefined> {
  const limit = AbortSignal.any([signal, limitOf(LISTING_LIMIT_SECONDS)]);
  const all = await untilAborted(volumes.listVolumes({ signal: limit }), limit);
  return all.find((volume) => volume.volumeId === volumeId);
}
