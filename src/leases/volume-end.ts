import type { CallOptions } from '../core/call.ts';
import { InputError, PolicyError, ProviderError } from '../core/errors.ts';
import { localPartOf, type PodId, providerOf } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { Ask, DestroyOutcome } from '../core/pods.ts';
import { poll } from '../core/poll.ts';
import type { Provider, Volume, Volumes } from '../core/provider.ts';
import type { PodsDeps } from './deps.ts';
import { limitOf, untilAborted } from './deps.ts';

const LISTING_LIMIT_SECONDS = 20;
const REMOVAL_LIMIT_SECONDS = 60;
const READ_BACK_EVERY_SECONDS = 3;

/** Disks that outlive pods: told when a pod ends, removed only by name. */
export type VolumesDeps = Pick<PodsDeps, 'providers' | 'store' | 'clock'>;

/** The volumes that are attached to the pod; `undefined`: its cloud has none, or did not tell. */
export async function volumesOf(
  { podId }: Lease,
  provider: Provider | undefined,
): Promise<NonNullable<Lease['volumes']> | undefined> {
  if (podId === undefined || provider?.volumes === undefined) return undefined;
  const signal = limitOf(LISTING_LIMIT_SECONDS);
  try {
    const all = await untilAborted(provider.volumes.listVolumes({ signal }), signal);
    return all
      .filter(({ podIds }) => podIds.includes(podId))
      .map(({ volumeId, sizeGb, usdPerMonth }) => ({
        volumeId,
        sizeGb,
        ...(usdPerMonth === undefined ? {} : { usdPerMonth }),
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
 * Removes a volume with what is on it, and reads back that it is gone. Its data is the only copy as far as anybody here knows:
 * throws `not_owned` without `discardUnfetched` and a reason, or when a person declines; `not_found`; `teardown_unconfirmed`;
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
  { providers, store, clock }: VolumesDeps,
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
  if (!request.discardUnfetched || request.reason === '')
    throw new PolicyError('not_owned', 'What is on a volume may be the only copy of it.', {
      hint: 'Ask the user. With discardUnfetched and a reason it is removed with everything on it.',
    });
  const message = `Remove volume ${volumeId} (${volume.sizeGb} GB) with everything on it?`;
  if ((await ask({ message, field: 'discardUnfetched' })) === 'declined')
    throw new PolicyError('not_owned', 'The user declined. The volume is as it was.', {
      hint: 'Ask the user before calling again.',
    });
  const note = async (text: string): Promise<void> =>
    store.log.append({ at: clock.now().toISOString(), kind: 'volume', podId: volumeId, text });
  await note(`To be removed: ${request.reason}`);
  const signal = AbortSignal.any([options.signal, limitOf(REMOVAL_LIMIT_SECONDS)]);
  await untilAborted(volumes.removeVolume(volumeId, { signal }), signal);
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
