import type { Clock } from '../core/call.ts';
import type { Lease, Terms } from '../core/lease.ts';
import type { Providers, Volume } from '../core/provider.ts';
import type { Store } from '../core/store.ts';
import type { AccountBook } from './account-book.ts';
import { limitOf, untilAborted } from './deps.ts';
import { handleOf, type Ledger } from './ledger.ts';
import type { Looks } from './looks.ts';
import { given } from './request.ts';
import { freshVolumeName, parseVolume } from './volumes.ts';

/** A cloud may list, or free, a volume only some time after its pod is gone. */
const SETTLING_SECONDS = 60;
const LEAST_PAUSE_SECONDS = 10;
/** After this long a person is told to see to it. */
const STUCK_SECONDS = 600;
const REMOVAL_LIMIT_SECONDS = 60;
/** Longer than any boot may take: a pod that lived on may have been used by somebody in their own way, ready or not. */
const USELESS_SECONDS = 3600;

type NewVolume = NonNullable<Lease['newVolume']>;

/** The volume that an order under these terms makes with its pod; `undefined`: none. Throws `invalid_input`. */
export function newVolumeOf({ volume }: Terms, label: string): NewVolume | undefined {
  const text = given(volume);
  const use = text === undefined ? undefined : parseVolume(text).use;
  if (use === undefined || !('newGb' in use)) return undefined;
  return { name: use.name ?? freshVolumeName(label), state: 'asked' };
}
/** Whether the new volume of this lease is worth nothing to anybody, once its pod is gone: that never became ready, and we ended it. */
export function isVolumeUnused(lease: Lease): boolean {
  const { newVolume, readyAt, bootAt, stoppedAt, closingAt, podId, createdAt } = lease;
  const wasUp = readyAt !== undefined || bootAt !== undefined || stoppedAt !== undefined;
  if (newVolume?.state !== 'asked' || wasUp) return false;
  if (podId === undefined) return true;
  if (closingAt === undefined) return false;
  return Date.parse(closingAt) - Date.parse(createdAt) < USELESS_SECONDS * 1000;
}

/** The new volume of the lease among those of the account. A name that a person gave may be that of another volume too. */
export function findNewVolume(lease: Lease, volumes: readonly Volume[]): Volume | undefined {
  const { newVolume, podId, label } = lease;
  if (newVolume === undefined) return undefined;
  const { name, volumeId } = newVolume;
  if (volumeId !== undefined) return volumes.find((volume) => volume.volumeId === volumeId);
  const isOurName = name === freshVolumeName(label);
  return volumes.find(
    (volume) =>
      volume.name === name && (isOurName || (podId !== undefined && volume.podIds.includes(podId))),
  );
}

export interface VolumeCare {
  isDue(lease: Lease): boolean;
  /** One step: learns which volume was made, or removes that of a pod that never became ready and is gone. */
  care(lease: Lease): Promise<void>;
}
export interface VolumeCareDeps {
  readonly ledger: Ledger;
  readonly looks: Looks;
  readonly accounts: AccountBook;
  readonly providers: Providers;
  readonly store: Store;
  readonly clock: Clock;
}

export function createVolumeCare(deps: VolumeCareDeps): VolumeCare {
  const { ledger, looks, accounts, providers, store, clock } = deps;
  const nextAt = new Map<string, number>();
  const now = (): number => clock.now().getTime();

  async function hasWork({ podId }: Lease): Promise<boolean> {
    const [jobs, sessions] = await Promise.all([store.jobs.list(), store.sessions.list()]);
    return [...jobs, ...sessions].some((one) => podId !== undefined && one.podId === podId);
  }
  const settle = async (lease: Lease, state: NewVolume['state'], text: string): Promise<void> => {
    await ledger.settleVolume(lease.leaseId, state);
    await ledger.note('volume', lease, text);
  };

  async function learn(lease: Lease): Promise<void> {
    const found = findNewVolume(lease, (await looks.volumes(lease.provider, 5)) ?? []);
    if (found !== undefined) await ledger.nameVolume(lease.leaseId, found.volumeId);
  }

  async function remove(lease: Lease, { name, volumeId }: NewVolume): Promise<void> {
    if (!isVolumeUnused(lease) || (await hasWork(lease))) {
      await settle(lease, 'kept', `The volume "${name}" stays: its pod was up.`);
      return;
    }
    if ((await accounts.strangeness(lease)) !== undefined) return;
    const found = findNewVolume(lease, (await looks.volumes(lease.provider, 0)) ?? []);
    if (found === undefined) {
      if (secondsSinceEnd(lease) < SETTLING_SECONDS) return;
      const isKnown = volumeId !== undefined || name === freshVolumeName(lease.label);
      await settle(
        lease,
        isKnown ? 'removed' : 'kept',
        isKnown
          ? `The volume "${name}", made with it, is not there.`
          : `Whether a volume "${name}" of the account was made with it cannot be told. None was removed.`,
      );
      return;
    }
    if (found.podIds.some((podId) => podId !== lease.podId)) {
      await settle(lease, 'kept', `Volume ${found.volumeId} stays: it is attached to another pod.`);
      return;
    }
    if (volumeId === undefined) await ledger.nameVolume(lease.leaseId, found.volumeId);
    const signal = limitOf(REMOVAL_LIMIT_SECONDS);
    const work = providers.get(lease.provider)?.volumes?.removeVolume(found.volumeId, { signal });
    await untilAborted(Promise.resolve(work), signal).catch(() => undefined);
    looks.forgetVolumes(lease.provider);
    const after = (await looks.volumes(lease.provider, 0)) ?? [];
    if (!after.some((volume) => volume.volumeId === found.volumeId))
      await settle(
        lease,
        'removed',
        `Volume ${found.volumeId}, made with a pod that never became ready, was removed and seen gone.`,
      );
  }

  const secondsSinceEnd = ({ endedAt, createdAt }: Lease): number =>
    Math.max(0, (now() - Date.parse(endedAt ?? createdAt)) / 1000);

  return {
    isDue(lease) {
      const { newVolume, state, podId } = lease;
      if (newVolume?.state !== 'asked' || now() < (nextAt.get(lease.leaseId) ?? 0)) return false;
      return state === 'closed' || (podId !== undefined && newVolume.volumeId === undefined);
    },
    async care(lease) {
      const { newVolume, leaseId } = lease;
      if (newVolume === undefined) return;
      const pause = Math.max(LEAST_PAUSE_SECONDS, secondsSinceEnd(lease) / 4);
      nextAt.set(leaseId, now() + pause * 1000);
      if (lease.state === 'closed') await remove(lease, newVolume);
      else await learn(lease);
    },
  };
}

/** What to say of a volume that is to go; `undefined`: nothing. */
export function volumeProblem(
  volume: Volume,
  leases: readonly Lease[],
  now: Date,
): string | undefined {
  const lease = leases.find(
    (one) =>
      one.state === 'closed' && isVolumeUnused(one) && findNewVolume(one, [volume]) !== undefined,
  );
  if (lease === undefined) return undefined;
  const made = `It was made for ${handleOf(lease)}, which never became ready`;
  const seconds = (now.getTime() - Date.parse(lease.endedAt ?? lease.createdAt)) / 1000;
  return seconds < STUCK_SECONDS
    ? `${made}: it is removed as soon as the cloud frees it.`
    : `${made}, and could not be removed yet; it is charged. It is tried again; destroy removes it too.`;
}
