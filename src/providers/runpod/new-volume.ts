import type { CallOptions } from '../../core/call.ts';
import { isAppError, ProviderError } from '../../core/errors.ts';
import type { VolumeUse } from '../../core/provider.ts';
import { NoAnswerError } from '../answer.ts';
import { volumeIdOf } from './ids.ts';
import type { VolumeApi } from './volume-api.ts';
import { existingVolume, type StorageMemory } from './volumes.ts';

export interface NewVolume {
  readonly id: string;
  readonly mountPath: string;
  /** It was made for this pod, and holds nothing. */
  readonly isNew: boolean;
}
export interface NewVolumeDeps {
  readonly volumeApi: VolumeApi;
  readonly storage: StorageMemory;
}

/** The volume that exists, or one that is made now. A data center that refuses it is remembered (OF-13). */
export async function createNewVolume(
  { volumeApi, storage }: NewVolumeDeps,
  use: VolumeUse,
  dataCenterId: string,
  label: string,
  options: CallOptions,
): Promise<NewVolume> {
  const { mountPath } = use;
  const there = await existingVolume(volumeApi, use, dataCenterId, options);
  if (there !== undefined) return { id: there.id, mountPath, isNew: false };
  const sizeGb = 'newGb' in use ? use.newGb : 0;
  const named = 'newGb' in use ? use.name : undefined;
  const name = named ?? `gl-${label}`.slice(0, 64);
  try {
    const id = await volumeApi.create({ name, sizeGb, dataCenterId }, options);
    storage.succeeded(dataCenterId);
    return { id, mountPath, isNew: true };
  } catch (failure) {
    options.signal.throwIfAborted();
    if (isAppError(failure) && failure.code === 'unsupported') storage.failed(dataCenterId);
    if (!(failure instanceof NoAnswerError) || !failure.wasSent || named !== undefined)
      throw failure;
    // Its name is ours alone, so what bears it was made by the order whose answer was lost.
    const row = (await volumeApi.list(options)).find((volume) => volume.name === name);
    if (row === undefined)
      throw new ProviderError(
        'outcome_unknown',
        'The answer of RunPod to the new volume was lost, and it is not listed yet. No pod was rented.',
        { cause: failure, hint: 'Call list_pods later: a volume that is left is charged.' },
      );
    return { id: row.id, mountPath, isNew: true };
  }
}

/** Takes a new volume back when its pod does not come to be (VO-03); one whose pod may exist is left alone. */
export async function withVolume<T>(
  { volumeApi }: NewVolumeDeps,
  volume: NewVolume | undefined,
  options: CallOptions,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (failure) {
    const mayBeUsed = !isAppError(failure) || failure.code === 'outcome_unknown';
    if (volume?.isNew !== true || mayBeUsed) throw failure;
    try {
      await volumeApi.remove(volume.id, options);
    } catch (left) {
      options.signal.throwIfAborted();
      throw new ProviderError(
        'outcome_unknown',
        `The creation failed, and its new volume ${volumeIdOf(volume.id)} may be left and charged.`,
        { cause: left, hint: `Call destroy for ${volumeIdOf(volume.id)}.` },
      );
    }
    throw failure;
  }
}
