import type { Fault } from '../faults.ts';
import type { FakeAnswer } from '../http.ts';
import { isObject, textOf } from '../vast/foreign.ts';
import { data, inactive, invalid, missing, noCapacity, noQuota, refusal } from './answers.ts';
import type { Call } from './call.ts';
import { KINDS, type Kind, REGIONS, type Region } from './catalog.ts';
import { openSsh } from './container.ts';
import { BOOT_FAULT_KINDS, type LambdaFault } from './fault-kinds.ts';
import { type Instance, isLiving, type Mount, type Tag } from './instance.ts';
import { imageRows } from './rows.ts';
import {
  creditUsd,
  type Key,
  livingFileSystems,
  newId,
  sizeOf,
  strikes,
  type World,
} from './world.ts';

const FIELDS = new Set([
  ...['region_name', 'instance_type_name', 'ssh_key_names', 'name', 'hostname', 'image'],
  ...['file_system_names', 'file_system_mounts', 'user_data', 'tags', 'firewall_rulesets'],
  // Not documented any more, and taken all the same when it is 1.
  'quantity',
]);
const MAX_USER_DATA = 1_048_576;
const MOUNT = /^(?:\/home|\/lambda\/nfs|\/data)[/a-zA-Z0-9-]*$/;

interface Order {
  readonly kind: Kind;
  readonly region: Region;
  readonly key: Key;
  readonly name: string | undefined;
  readonly hostname: string | undefined;
  readonly userData: string | undefined;
  readonly tags: readonly Tag[];
  readonly mounts: readonly Mount[];
}

/** `POST /instance-operations/launch`. */
export async function launch(call: Call): Promise<FakeAnswer> {
  const { world, life, route } = call;
  const order = read(call);
  if ('status' in order) return order;
  const place = `${order.kind.name}@${order.region.name}`;
  const subject = { offerId: place, route };
  const refused = refusedBy(world, subject, place);
  if (refused !== undefined) return refused;
  const isHalfDone = strikes(world, 'launch-fails-with-instance', subject) !== undefined;
  const count = strikes(world, 'two-instances', subject) === undefined ? 1 : 2;
  const ids: string[] = [];
  for (let made = 0; made < count; made += 1) {
    const instance = newInstance(world, order, subject);
    await openSsh(world, instance);
    life.begin(instance);
    ids.push(instance.id);
  }
  return isHalfDone ? noCapacity() : data({ instance_ids: ids });
}

function refusedBy(
  world: World,
  subject: { readonly offerId: string; readonly route: string },
  place: string,
): FakeAnswer | undefined {
  if (creditUsd(world) <= 0 || strikes(world, 'account-inactive', subject) !== undefined)
    return inactive();
  const living = [...world.instances.values()].filter(isLiving).length;
  if (living >= world.options.quota || strikes(world, 'quota-exceeded', subject) !== undefined)
    return noQuota();
  if (!world.free.has(place) || strikes(world, 'no-capacity', subject) !== undefined)
    return noCapacity();
  return undefined;
}

/** The order, or why it is none. */
function read({ world, body }: Call): Order | FakeAnswer {
  if (Object.keys(body).some((field) => !FIELDS.has(field))) return invalid();
  if (body['quantity'] !== undefined && body['quantity'] !== 1)
    return invalid('Requested too many instances.');
  const region = REGIONS.find(({ name }) => name === body['region_name']);
  const kind = KINDS.find(({ name }) => name === body['instance_type_name']);
  if (textOf(body['region_name']) === undefined || textOf(body['instance_type_name']) === undefined)
    return invalid();
  if (region === undefined) return missing('Specified region does not exist.');
  if (kind === undefined) return missing('Specified instance type does not exist.');
  const names: unknown = body['ssh_key_names'];
  if (!Array.isArray(names) || names.length !== 1)
    return invalid('Exactly one SSH key name is required.');
  const key = [...world.keys.values()].find(({ name }) => name === names[0]);
  if (key === undefined) return missing('Specified SSH key does not exist.');
  const name = textOf(body['name']);
  const hostname = textOf(body['hostname']);
  const userData = textOf(body['user_data']);
  if ((name ?? '').length > 64) return invalid();
  if (hostname !== undefined && !/^[a-z0-9][0-9a-z-]{0,62}$/.test(hostname)) return invalid();
  if ((userData ?? '').length > MAX_USER_DATA) return invalid();
  const image = imageRefusal(body['image'], region);
  if (image !== undefined) return image;
  const tags = tagsOf(body['tags']);
  if (tags === undefined) return invalid('Invalid tag.');
  const mounts = mountsOf(world, body, region);
  if ('status' in mounts) return mounts;
  return { kind, region, key, name, hostname, userData, tags, mounts: mounts.list };
}

function imageRefusal(wanted: unknown, region: Region): FakeAnswer | undefined {
  if (wanted === undefined) return undefined;
  if (!isObject(wanted)) return invalid();
  const isThere = imageRows([region]).some(({ family }) => family === wanted['family']);
  const hasId = imageRows(REGIONS).some(
    ({ id, region: at }) => id === wanted['id'] && isObject(at) && at['name'] === region.name,
  );
  return isThere || hasId ? undefined : missing('Specified image does not exist.');
}

function tagsOf(given: unknown): readonly Tag[] | undefined {
  if (given === undefined) return [];
  if (!Array.isArray(given)) return undefined;
  const tags = given.flatMap((tag: unknown) => {
    const [key, value] = isObject(tag) ? [textOf(tag['key']), textOf(tag['value'])] : [];
    const isGood =
      key !== undefined &&
      value !== undefined &&
      /^[a-z][a-z0-9-:]+$/.test(key) &&
      key.length <= 55;
    return isGood && value.length <= 128 ? [{ key, value }] : [];
  });
  return tags.length === given.length ? tags : undefined;
}

function mountsOf(
  world: World,
  body: Call['body'],
  region: Region,
): { readonly list: readonly Mount[] } | FakeAnswer {
  const names: unknown = body['file_system_names'] ?? [];
  const given: unknown = body['file_system_mounts'] ?? [];
  if (!Array.isArray(names) || !Array.isArray(given)) return invalid();
  const list: Mount[] = [];
  const wanted = [
    ...given.map((entry: unknown) => ({
      id: isObject(entry) ? textOf(entry['file_system_id']) : undefined,
      at: isObject(entry) ? textOf(entry['mount_point']) : undefined,
    })),
    ...names.map((name: unknown) => ({
      id: livingFileSystems(world).find((system) => system.name === name)?.id,
      at: undefined,
    })),
  ];
  for (const { id, at } of wanted) {
    const system = livingFileSystems(world).find((each) => each.id === id);
    if (system === undefined) return missing('Specified filesystem does not exist.');
    if (at !== undefined && (!MOUNT.test(at) || at.length > 256)) return invalid();
    if (system.region.name !== region.name)
      return refusal(
        400,
        'instance-operations/launch/file-system-in-wrong-region',
        'The filesystem is in another region than the instance.',
      );
    if (list.some(({ fileSystemId }) => fileSystemId === system.id)) continue;
    list.push({
      fileSystemId: system.id,
      fileSystemName: system.name,
      mountPoint: at ?? `/lambda/nfs/${system.name}`,
      isCustom: at !== undefined,
    });
  }
  return { list };
}

function newInstance(
  world: World,
  order: Order,
  subject: { readonly offerId: string; readonly route: string },
): Instance {
  const id = newId(world);
  const now = world.clock.nowSeconds();
  const faults = new Map<LambdaFault, Fault>();
  for (const kind of BOOT_FAULT_KINDS) {
    const fault = strikes(world, kind, { ...subject, machineId: id });
    if (fault !== undefined) faults.set(kind, fault);
  }
  const lag = strikes(world, 'list-lag', subject);
  const unknown = strikes(world, 'id-unknown', subject);
  const { kind, region, key, ...rest } = order;
  const instance: Instance = {
    ...rest,
    id,
    meterId: `lambda:${id}`,
    kind,
    region,
    centsPerHour: Math.round(kind.centsPerHour * (world.priceFactors.get(kind.name) ?? 1)),
    keyName: key.name,
    publicKey: key.publicKey,
    hostname: order.hostname ?? '127-0-0-1',
    jupyterToken: world.dice.hex(32),
    createdAt: now,
    faults,
    status: 'booting',
    activeAt: undefined,
    isBusy: false,
    endedAt: undefined,
    terminatedAt: undefined,
    listedAt: lag === undefined ? now : now + sizeOf(lag, 20),
    knownAt: unknown === undefined ? now : now + sizeOf(unknown, 20),
    machineStarted: false,
    machineFailed: false,
    door: undefined,
    timers: new Set(),
  };
  world.instances.set(id, instance);
  return instance;
}
