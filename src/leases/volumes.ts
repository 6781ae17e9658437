import { InputError } from '../core/errors.ts';
import { PROVIDER_NAMES, type ProviderName } from '../core/ids.ts';
import type { VolumeUse } from '../core/provider.ts';

export interface ParsedVolume {
  readonly use: VolumeUse;
  /** The cloud that the id names, where it does. */
  readonly provider?: ProviderName | undefined;
}

const NEW = /^new:(?<size>\d{1,12}(?:\.\d{1,3})?):(?<path>\/[^:]*)(?::(?<name>.*))?$/;
const LINK = /^(?:(?<provider>[a-z]+):)?(?<id>[A-Za-z0-9][A-Za-z0-9._-]{0,63}):(?<path>\/[^:]*)$/;
const MOUNT = /^(?:\/[A-Za-z0-9._-]{1,100}){1,12}$/;
/** Hidden, or hidden in part, they leave no machine that lets anybody in. */
const SYSTEM_FOLDER =
  /^\/(?:(?:bin|boot|dev|etc|lib|lib32|lib64|libx32|proc|run|sbin|sys)(?:\/|$)|(?:root|home|usr|var|tmp)$)|\/\.ssh(?:\/|$)/;

/**
 * `ID:/mount` links a volume that exists, `new:GB:/mount` or `new:GB:/mount:name` makes one with the pod. Throws
 * `invalid_input` that names the part in the way.
 */
export function parseVolume(text: string): ParsedVolume {
  const made = NEW.exec(text)?.groups;
  if (made !== undefined) {
    const newGb = Number(made['size']);
    const name = made['name'];
    if (newGb < 1 || newGb > 100_000) invalid('the size is from 1 to 100000 GB');
    if (name !== undefined && !/^[A-Za-z0-9_]{1,64}$/.test(name))
      invalid('the name is 1 to 64 letters, digits or "_"');
    const mountPath = mountOf(made['path']);
    return { use: { newGb, mountPath, ...(name === undefined ? {} : { name }) } };
  }
  const linked = LINK.exec(text)?.groups;
  const volumeId = linked?.['id'];
  if (linked === undefined || volumeId === undefined || volumeId === 'new')
    return invalid('it is neither "ID:/mount" nor "new:GB:/mount"');
  const named = linked['provider'];
  const provider = PROVIDER_NAMES.find((name) => name === named);
  if (named !== undefined && provider === undefined) invalid('no cloud has that name');
  const use = { volumeId, mountPath: mountOf(linked['path']) };
  return provider === undefined ? { use } : { use, provider };
}

/** The name of a new volume that nobody named: as unique as the label. */
export function freshVolumeName(label: string): string {
  return `gl_${label.replace(/[^A-Za-z0-9_]/g, '_')}`.slice(0, 64);
}

/** The volume with its name, where it is a new one. */
export function named(use: VolumeUse | undefined, label: string): VolumeUse | undefined {
  return use !== undefined && 'newGb' in use && use.name === undefined
    ? { ...use, name: freshVolumeName(label) }
    : use;
}

/** Whether the cloud of `provider` is the one that the volume's id names. */
export function isVolumeOf({ provider }: ParsedVolume, of: ProviderName): boolean {
  return provider === undefined || provider === of;
}

function mountOf(given: string | undefined): string {
  const path = (given ?? '').replace(/\/+$/, '');
  const parts = path.split('/').slice(1);
  if (!MOUNT.test(path) || parts.some((part) => part === '.' || part === '..'))
    invalid('the mount is an absolute path of letters, digits, ".", "_" and "-"');
  if (SYSTEM_FOLDER.test(path)) invalid('the mount would hide a folder that the pod needs');
  return path;
}

function invalid(why: string): never {
  throw new InputError('invalid_input', `volume cannot be read: ${why}.`, {
    hint: 'Link one with "V.881:/data", or make one with "new:20:/data" (20 GB) or "new:20:/data:name".',
  });
}
