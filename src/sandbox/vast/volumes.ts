import type { FakeAnswer } from '../http.ts';
import { answer, failure, type Json, success } from './answers.ts';
import { billVolume } from './billing.ts';
import type { Call } from './call.ts';
import { conditionsOf, passes, sortRows } from './filters.ts';
import { given, isObject, numberOf, objectOf, textOf } from './foreign.ts';
import type { Ask, Machine } from './market.ts';
import { diskUsdPerHour, machineFacts } from './offer-row.ts';
import { freeVolumeGb, newId, type Volume, type World } from './world.ts';

const DEFAULT_SIZE_GB = 15;
const SEARCH_LIMIT = 64;

const livingVolume = (world: World, id: number | undefined): Volume | undefined => {
  const volume = id === undefined ? undefined : world.volumes.get(id);
  return volume?.deletedAt === undefined ? volume : undefined;
};
const machineOfVolumeAsk = (world: World, id = Number.NaN): Machine | undefined =>
  [...world.asks.values()].find(({ machine }) => machine.volumeAskId === id)?.machine;

function makeVolume(
  world: World,
  machine: Machine,
  sizeGb: number,
  name: string | undefined,
): Volume {
  const id = newId(world);
  const volume: Volume = {
    id,
    name: name ?? `V.${id}`,
    sizeGb,
    machine,
    createdAt: world.clock.nowSeconds(),
    heldBy: undefined,
    deletedAt: undefined,
  };
  world.volumes.set(id, volume);
  billVolume(world, volume);
  return volume;
}

export type Attachment =
  | { readonly refused: FakeAnswer }
  | { readonly volumeId: number | undefined; readonly take: (instanceId: number) => void };

const NOTHING: Attachment = { volumeId: undefined, take: () => undefined };
const refuse = (msg: string): Attachment => ({ refused: failure(400, 'invalid_args', msg) });

/** What `volume_info`, or a `-v V.<id>:/path` of the env, asks for on that machine. */
export function attachVolume(
  { world, body }: Call,
  { machine }: Ask,
  mountPath: string | undefined,
): Attachment {
  const info = given(body, 'volume_info');
  const linked = Object.keys(objectOf(body['env']))
    .map((name) => /^-v\s+V\.(\d+):\//.exec(name)?.[1])
    .find((id) => id !== undefined);
  if (!isObject(info)) return linked === undefined ? NOTHING : link(world, machine, Number(linked));
  if (mountPath?.startsWith('/') !== true) return refuse("'mount_path' is required");
  const id = numberOf(info['volume_id']);
  if (info['create_new'] !== true) return link(world, machine, id);
  if (id === undefined || machine.volumeAskId !== id)
    return refuse('The volume offer is not on the machine of this offer.');
  const sizeGb = numberOf(info['size']) ?? DEFAULT_SIZE_GB;
  if (sizeGb < 1 || sizeGb > (freeVolumeGb(world, machine) ?? 0))
    return refuse('The machine has not enough space for this volume.');
  const volume = makeVolume(world, machine, sizeGb, textOf(info['name']));
  return {
    volumeId: volume.id,
    take: (instanceId) => {
      volume.heldBy = instanceId;
    },
  };
}

function link(world: World, machine: Machine, id: number | undefined): Attachment {
  const volume = livingVolume(world, id);
  if (volume === undefined) return refuse('Volume with that ID does not exist.');
  if (volume.machine !== machine) return refuse('The volume is on another machine.');
  if (volume.heldBy !== undefined) return refuse('The volume is in use.');
  return {
    volumeId: volume.id,
    take: (instanceId) => {
      volume.heldBy = instanceId;
    },
  };
}

/** `POST /volumes/search/`: local volumes that machines of the market offer. */
export function searchVolumes({ world, body }: Call): FakeAnswer {
  const parsed = conditionsOf(body);
  if ('badOperator' in parsed)
    return failure(400, 'invalid_request', `${parsed.badOperator} is not a valid search op`);
  const size = numberOf(body['allocated_storage']) ?? 1;
  const machines = new Set([...world.asks.values()].map(({ machine }) => machine));
  const rows = [...machines].flatMap((machine) => {
    const free = freeVolumeGb(world, machine);
    if (free === null || free < 1) return [];
    const row = volumeOfferRow(world, machine, free, size);
    return parsed.conditions.every(({ column, operator, wanted }) => {
      if (column === 'verified')
        return passes(row['verification'] === 'verified', operator, wanted);
      return !Object.hasOwn(row, column) || passes(row[column], operator, wanted);
    })
      ? [row]
      : [];
  });
  const order: unknown = body['order'];
  const columns = (Array.isArray(order) ? order : []).flatMap((entry: unknown) =>
    Array.isArray(entry) && typeof entry[0] === 'string'
      ? [{ column: entry[0], descending: entry[1] === 'desc' }]
      : [],
  );
  const limit = Math.max(1, numberOf(body['limit']) ?? SEARCH_LIMIT);
  return answer({ offers: sortRows(rows, columns).slice(0, limit) });
}

function volumeOfferRow(world: World, machine: Machine, free: number, sizeGb: number): Json {
  const facts = machineFacts(machine, machine.gpus);
  return {
    ...facts,
    id: machine.volumeAskId,
    ask_contract_id: machine.volumeAskId,
    bundle_id: 800_000_000 + machine.machineId,
    disk_space: free,
    driver_vers: String(facts['driver_vers']),
    geolocation: machine.geolocation ?? '',
    geolocode: String(facts['geolocode']),
    vericode: String(facts['vericode']),
    storage_total_cost: diskUsdPerHour(sizeGb, machine.storageUsdPerGbMonth),
    start_date: machine.startSeconds,
    end_date: machine.endSeconds,
    duration: machine.endSeconds - world.clock.nowSeconds(),
    vms_enabled: false,
    score: machine.reliability * 100,
  };
}

/** `PUT /volumes/`. */
export function createVolume({ world, life, body }: Call): FakeAnswer {
  const name = given(body, 'name');
  if (name !== undefined && !/^[A-Za-z0-9_]{1,64}$/.test(textOf(name) ?? ''))
    return failure(422, 'invalid_args', 'Invalid volume name.');
  const machine = machineOfVolumeAsk(world, numberOf(body['id']));
  if (machine === undefined) return failure(404, 'no_such_ask', 'Volume offer does not exist.');
  const sizeGb = numberOf(given(body, 'size')) ?? DEFAULT_SIZE_GB;
  if (sizeGb < 1 || sizeGb > (freeVolumeGb(world, machine) ?? 0))
    return failure(400, 'invalid_args', 'The machine has not enough space for this volume.');
  const volume = makeVolume(world, machine, sizeGb, textOf(name));
  life.settle();
  return success({ volume_name: `V.${volume.id}`, volume_id: volume.id });
}

/** `GET /volumes`. Network volumes were withdrawn: that type is always empty. */
export function listVolumes({ world, request }: Call): FakeAnswer {
  if (request.query.get('type') === 'network_volume') return answer({ volumes: [] });
  const volumes = [...world.volumes.values()]
    .filter(({ deletedAt }) => deletedAt === undefined)
    .map((volume) => volumeRow(volume));
  return answer({ volumes });
}

function volumeRow({ id, name, heldBy, machine, sizeGb, createdAt }: Volume): Json {
  const facts = machineFacts(machine, machine.gpus);
  return {
    ...facts,
    id,
    label: name,
    status: heldBy === undefined ? 'created' : 'in-use',
    disk_space: sizeGb,
    instances: heldBy === undefined ? [] : [{ id: heldBy }],
    start_date: createdAt,
    end_date: machine.endSeconds,
    storage_total_cost: diskUsdPerHour(sizeGb, machine.storageUsdPerGbMonth),
    public_ipaddr: '127.0.0.1',
  };
}

/** `DELETE /volumes/`, with the id in the query or in the body. */
export function deleteVolume({ world, life, body, request }: Call): FakeAnswer {
  const id = numberOf(body['id']) ?? numberOf(request.query.get('id'));
  if (id === undefined) return failure(400, 'invalid_args', 'Please provide a valid volume ID.');
  const volume = livingVolume(world, id);
  if (volume === undefined)
    return failure(404, 'no_such_volume', 'Volume with that ID does not exist.');
  if (volume.heldBy !== undefined)
    return failure(400, 'invalid_args', 'Volume is in use by an instance.');
  volume.deletedAt = world.clock.nowSeconds();
  billVolume(world, volume);
  life.settle();
  return success();
}
