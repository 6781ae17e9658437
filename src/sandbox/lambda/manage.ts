import type { FakeAnswer } from '../http.ts';
import { textOf } from '../vast/foreign.ts';
import { data, invalid, noSuchInstance, refusal, serverError } from './answers.ts';
import type { Call } from './call.ts';
import { KINDS, REGIONS } from './catalog.ts';
import { type Instance, isLiving } from './instance.ts';
import { instanceRow, kindRow } from './rows.ts';
import { sizeOf, strikes, subjectOf, type World } from './world.ts';

/** What an id still finds: an ended instance for a while. */
function known(world: World, id: string): Instance | undefined {
  const instance = world.instances.get(id);
  if (instance === undefined) return undefined;
  const now = world.clock.nowSeconds();
  const { terminatedAt, knownAt, faults } = instance;
  if (now < knownAt || (terminatedAt !== undefined && faults.has('vanishes'))) return undefined;
  const isOver = terminatedAt !== undefined && now > terminatedAt + world.options.listedSeconds;
  return isOver ? undefined : instance;
}

/** `GET /instances`. */
export function listInstances({ world, route }: Call): FakeAnswer {
  const now = world.clock.nowSeconds();
  const rows = [...world.instances.values()].filter(
    (instance) =>
      known(world, instance.id) !== undefined &&
      now >= instance.listedAt &&
      strikes(world, 'reads-nothing', subjectOf(instance, route)) === undefined,
  );
  return data(rows.map((instance) => instanceRow(world, instance)));
}

/** `GET /instances/{id}`. */
export function showInstance({ world, id, route }: Call): FakeAnswer {
  const instance = known(world, id);
  if (instance === undefined) return noSuchInstance();
  const isHidden =
    isLiving(instance) && strikes(world, 'null-once', subjectOf(instance, route)) !== undefined;
  return isHidden ? noSuchInstance() : data(instanceRow(world, instance));
}

/** `POST /instances/{id}`: a new name, nothing else. */
export function renameInstance({ world, id, body }: Call): FakeAnswer {
  const instance = known(world, id);
  if (instance === undefined) return noSuchInstance();
  const name = textOf(body['name']);
  if (name === undefined || name.length > 64) return invalid();
  instance.name = name;
  return data(instanceRow(world, instance));
}

function named({ world, body }: Call): readonly Instance[] | FakeAnswer {
  const ids: unknown = body['instance_ids'];
  if (!Array.isArray(ids) || ids.length === 0) return invalid();
  const found = ids.flatMap((id: unknown) => known(world, textOf(id) ?? '') ?? []);
  return found.length === ids.length ? found : noSuchInstance();
}

/** `POST /instance-operations/terminate`. */
export function terminateInstances(call: Call): FakeAnswer {
  const { world, life, route } = call;
  const found = named(call);
  if ('status' in found) return found;
  for (const instance of found) {
    const subject = subjectOf(instance, route);
    if (strikes(world, 'terminate-fails', subject) !== undefined) return serverError();
    if (strikes(world, 'terminate-404', subject) !== undefined) return noSuchInstance();
    if (strikes(world, 'terminate-ignored', subject) !== undefined) continue;
    if (instance.status === 'booting' && !world.options.terminateWhileBooting)
      return invalid('The instance has not launched yet.');
    life.terminate(instance);
  }
  return data({ terminated_instances: found.map((instance) => instanceRow(world, instance)) });
}

/** `POST /instance-operations/restart`: disk and address stay. */
export function restartInstances(call: Call): FakeAnswer {
  const { world, life, route } = call;
  const found = named(call);
  if ('status' in found) return found;
  const isBlocked = found.some(
    (instance) =>
      !isLiving(instance) ||
      instance.status === 'booting' ||
      instance.isBusy ||
      strikes(world, 'restart-conflict', subjectOf(instance, route)) !== undefined,
  );
  if (isBlocked)
    return refusal(
      409,
      'global/conflict',
      'The request conflicts with the current state of the resource.',
    );
  for (const instance of found) life.restart(instance);
  return data({ restarted_instances: found.map((instance) => instanceRow(world, instance)) });
}

/** `GET /instance-types`: a map, with the regions where something is free. */
export function listTypes({ world, route }: Call): FakeAnswer {
  const entries = KINDS.map((kind) => {
    const cents = Math.round(kind.centsPerHour * (world.priceFactors.get(kind.name) ?? 1));
    const regions = REGIONS.filter(({ name }) => world.free.has(`${kind.name}@${name}`));
    for (const { name } of regions) {
      const offerId = `${kind.name}@${name}`;
      if (strikes(world, 'capacity-vanishes', { offerId, route }) !== undefined)
        world.free.delete(offerId);
      const rise = strikes(world, 'price-rise', { offerId, route });
      if (rise !== undefined) world.priceFactors.set(kind.name, sizeOf(rise, 1.5));
    }
    const row = { instance_type: kindRow(kind, cents), regions_with_capacity_available: regions };
    return [kind.name, row] as const;
  });
  return data(Object.fromEntries(entries));
}
