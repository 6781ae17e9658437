import type { CallOptions } from '../../core/call.ts';
import { InputError, isAppError } from '../../core/errors.ts';
import { localPartOf, type PodId } from '../../core/ids.ts';
import type { Volume, Volumes, VolumeUse } from '../../core/provider.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import { isNotFound, type LambdaApi } from './api.ts';
import { fileSystemIdOf, isPlainId, podIdOf, volumeIdOf } from './ids.ts';
import type { FileSystem, Instance } from './wire.ts';

const GIB = 1024 ** 3;
const GB = 1e9;
/** The rate that Lambda's own documentation reckons with; the console tells the real one. */
const EXAMPLE_USD_PER_GIB_MONTH = 0.2;
const MOUNT = /^(?:\/home|\/lambda\/nfs|\/data)(?:\/[A-Za-z0-9-]+)*$/;
const HIDING = /^\/home(?:\/ubuntu)?$/;
const NAME = /^[a-zA-Z]+[0-9a-zA-Z-]*$/;
const MAX_NAME_CHARS = 60;
const MAX_MOUNT_CHARS = 256;

/** File systems of a region: they outlive pods and are charged for what lies on them. */
export function createFileSystems(api: LambdaApi): Volumes {
  return {
    async listVolumes(options) {
      options.signal.throwIfAborted();
      const systems = await api.fileSystems(options);
      // Only the pods tell where a file system is mounted, and only one in use is.
      const pods = systems.some(({ is_in_use }) => is_in_use) ? await api.instances(options) : [];
      return systems.filter(({ id }) => isPlainId(id)).map((system) => toVolume(system, pods));
    },
    async removeVolume(volumeId: PodId, options) {
      options.signal.throwIfAborted();
      const id = fileSystemIdOf(localPartOf(volumeId));
      if (id === undefined) return;
      try {
        await api.deleteFileSystem(id, options);
      } catch (failure) {
        options.signal.throwIfAborted();
        // Only the list tells whether it is missing.
        if (!isNotFound(failure) || (await isListed(api, id, options))) throw failure;
      }
    },
  };
}

async function isListed(api: LambdaApi, id: string, options: CallOptions): Promise<boolean> {
  return (await api.fileSystems(options)).some((system) => system.id === id);
}

export function toVolume(system: FileSystem, pods: readonly Instance[]): Volume {
  const bytes = system.bytes_used ?? 0;
  return {
    volumeId: volumeIdOf(system.id),
    name: quoteForeign(`${system.name} (${system.region.name})`, 100),
    sizeGb: Math.round((bytes / GB) * 10) / 10,
    usdPerMonth: Math.round((bytes / GIB) * EXAMPLE_USD_PER_GIB_MONTH * 100) / 100,
    podIds: pods
      .filter(
        ({ file_system_mounts: mounts, file_system_names: names, region }) =>
          mounts?.some(({ file_system_id }) => file_system_id === system.id) === true ||
          (names?.includes(system.name) === true && region?.name === system.region.name),
      )
      .flatMap(({ id }) => (isPlainId(id) ? podIdOf(id) : [])),
  };
}

export interface FileSystemPlan {
  readonly mountPath: string;
  /** One that exists, or the name of one to be made. */
  readonly id?: string;
  readonly newName?: string;
  /** In our own words, for the person who agrees. */
  readonly notes: readonly string[];
}

/**
 * What is to be attached at the launch. Throws `invalid_input` for a path or a name that Lambda does not take, `not_found`, and
 * `unsupported` for one in another region.
 */
export async function planFileSystem(
  api: Pick<LambdaApi, 'fileSystems'>,
  use: VolumeUse,
  region: string,
  freshName: string,
  options: CallOptions,
): Promise<FileSystemPlan> {
  const { mountPath } = use;
  if (!MOUNT.test(mountPath) || HIDING.test(mountPath) || mountPath.length > MAX_MOUNT_CHARS)
    throw new InputError('invalid_input', 'Lambda cannot mount a volume at this path.', {
      hint: 'Use a path of letters, digits and "-" below /lambda/nfs or /data, like "/data/train".',
    });
  const systems = await api.fileSystems(options);
  if ('volumeId' in use) {
    const id = fileSystemIdOf(use.volumeId);
    const system = systems.find((each) => each.id === id || each.name === use.volumeId);
    if (system === undefined || !isPlainId(system.id))
      throw new InputError('not_found', 'The Lambda account has no such volume.', {
        hint: 'Call list_pods for the volumes of the account.',
      });
    if (system.region.name !== region)
      throw new InputError('unsupported', 'The volume lies in another region than this offer.', {
        hint: 'A Lambda file system never leaves its region: choose an offer there.',
      });
    return { mountPath, id: system.id, notes: [] };
  }
  const newName = use.name === undefined || use.name === '' ? freshName : use.name;
  if (!NAME.test(newName) || newName.length > MAX_NAME_CHARS)
    throw new InputError(
      'invalid_input',
      'At Lambda the name of a volume has letters, digits and "-" only and begins with a letter.',
    );
  if (systems.some(({ name }) => name === newName))
    throw new InputError('invalid_input', 'The Lambda account has a volume of this name already.', {
      hint: 'Link it by its id, or choose another name.',
    });
  return {
    mountPath,
    newName,
    notes: [
      'The new volume has no fixed size: what lies on it is charged (Lambda’s documentation reckons with $0.20 per GiB and month), also after the pod is destroyed, until it is removed.',
    ],
  };
}

/** The id of what is to be attached. A lost answer is looked up by its name, which is never given twice. */
export async function makeFileSystem(
  api: LambdaApi,
  { newName = '' }: FileSystemPlan,
  region: string,
  options: CallOptions,
): Promise<string> {
  try {
    return (await api.createFileSystem(newName, region, options)).id;
  } catch (failure) {
    options.signal.throwIfAborted();
    if (!isAppError(failure) || failure.code !== 'provider_unavailable') throw failure;
    const made = (await api.fileSystems(options)).find(({ name }) => name === newName);
    if (made === undefined) throw failure;
    return made.id;
  }
}
