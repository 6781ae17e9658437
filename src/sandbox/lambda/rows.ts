import type { Json } from '../vast/answers.ts';
import type { Kind } from './catalog.ts';
import type { Instance } from './instance.ts';
import { type FileSystem, isInUse, sizeOf, type World } from './world.ts';

/** Of the account's owner. */
const OWNER = {
  id: '3da5a70a57a7422ea8a7203f98b2198b',
  email: 'me@example.com',
  status: 'active',
} as const;

/** A type as `GET /instance-types` and every instance tell it. */
export function kindRow(kind: Kind, centsPerHour: number): Json {
  return {
    name: kind.name,
    description: kind.description,
    gpu_description: kind.gpuDescription,
    price_cents_per_hour: centsPerHour,
    specs: kind.specs,
  };
}

/** An instance as it is told: without an address while it boots, and without any time of creation. */
export function instanceRow(world: World, instance: Instance): Json {
  const { name, mounts, tags, door } = instance;
  return {
    id: instance.id,
    ...(name === undefined ? {} : { name }),
    ...(hasAddress(world, instance)
      ? { ip: '127.0.0.1', private_ip: '10.19.0.7', ssh_port: door?.port }
      : {}),
    hostname: instance.hostname,
    status: instance.status,
    ssh_key_names: [instance.keyName],
    file_system_names: mounts.map(({ fileSystemName }) => fileSystemName),
    ...(mounts.length === 0
      ? {}
      : {
          file_system_mounts: mounts.map(({ mountPoint, fileSystemId }) => ({
            mount_point: mountPoint,
            file_system_id: fileSystemId,
          })),
        }),
    region: instance.region,
    instance_type: kindRow(instance.kind, instance.centsPerHour),
    jupyter_token: instance.jupyterToken,
    jupyter_url: `https://jupyter-${instance.id}.lambdaspaces.com/?token=${instance.jupyterToken}`,
    ...(tags.length === 0 ? {} : { tags }),
    actions: actionsOf(instance),
  };
}

function hasAddress(world: World, { activeAt, faults, status }: Instance): boolean {
  if (activeAt === undefined || (status !== 'active' && status !== 'unhealthy')) return false;
  const late = faults.get('no-ip');
  return late === undefined || world.clock.nowSeconds() >= activeAt + sizeOf(late, 60);
}

function actionsOf({ status, isBusy }: Instance): Json {
  const blocked = (reason_code: string, reason_description: string) => ({
    available: false,
    reason_code,
    reason_description,
  });
  const why =
    status === 'booting'
      ? blocked('vm-has-not-launched', 'The instance has not launched yet.')
      : status === 'terminating' || status === 'terminated' || status === 'preempted'
        ? blocked('vm-is-terminating', 'The instance is being terminated.')
        : isBusy
          ? blocked('vm-action-in-progress', 'Another action is in progress.')
          : { available: true };
  const old = blocked('vm-is-too-old', 'The instance is too old for this.');
  return { migrate: old, rebuild: old, restart: why, cold_reboot: why, terminate: why };
}

export function fileSystemRow(world: World, system: FileSystem): Json {
  return {
    id: system.id,
    name: system.name,
    mount_point: `/lambda/nfs/${system.name}`,
    created: new Date(system.createdAt * 1000).toISOString(),
    created_by: OWNER,
    is_in_use: isInUse(world, system),
    region: system.region,
    bytes_used: system.bytesUsed,
  };
}

const FAMILIES = [
  ['lambda-stack-22-04', 'Lambda Stack 22.04', 'x86_64'],
  ['lambda-stack-22-04', 'Lambda Stack 22.04 ARM', 'arm64'],
  ['lambda-stack-24-04', 'Lambda Stack 24.04', 'x86_64'],
  ['gpu-base-22-04', 'GPU Base 22.04', 'x86_64'],
  ['ubuntu-22-04', 'Ubuntu Server 22.04', 'x86_64'],
] as const;

/** One entry for each region: an id fits one region, a family all of them. */
export function imageRows(regions: readonly { readonly name: string }[]): readonly Json[] {
  return regions.flatMap((region, at) =>
    FAMILIES.map(([family, name, architecture], nth) => ({
      id: `${String(at).padStart(2, '0')}${String(nth).padStart(2, '0')}`.padEnd(32, '0'),
      created_time: '2026-03-01T00:00:00.000Z',
      updated_time: '2026-03-01T00:00:00.000Z',
      name,
      description: name,
      family,
      version: '1.0.0',
      architecture,
      region,
    })),
  );
}
