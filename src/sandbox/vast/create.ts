import type { FakeAnswer } from '../http.ts';
import { failure, type Json, success } from './answers.ts';
import { type Call, idOf } from './call.ts';
import { closeDoors, openDoors } from './container.ts';
import { given, integersOf, isObject, objectOf } from './foreign.ts';
import type { Instance, Order } from './instance.ts';
import type { Ask } from './market.ts';
import { newInstance } from './new-instance.ts';
import { readOrder } from './order.ts';
import { findOffers } from './search.ts';
import { attachVolume } from './volumes.ts';
import { creditUsd, freeGpus, isRented, newId, strikes, subjectOf, usedDiskGb } from './world.ts';

/** `PUT /asks/{id}/`. */
export async function createInstance(call: Call): Promise<FakeAnswer> {
  const id = idOf(call);
  if (!Number.isInteger(id))
    return failure(
      400,
      'invalid_args',
      "error 400/3467: Invalid args: 'id' is required and must be a valid offer ID",
    );
  if (!isObject(call.request.body)) return failure(400, 'invalid_args', 'Invalid json body');
  return rent(call, id, call.body);
}

/** `POST /asks/bulk/`: the same order for each of `ids`. */
export async function createBulk(call: Call): Promise<FakeAnswer> {
  const ids = integersOf(call.body['ids']) ?? [];
  const results: unknown[] = [];
  for (const id of ids) results.push((await rent(call, id, call.body)).body);
  return success({ results });
}

/** `PUT /launch_instance/`: rents the first offer that the query in `q` finds. */
export async function launchInstance(call: Call): Promise<FakeAnswer> {
  const { body, world } = call;
  const count = given(body, 'num_gpus');
  const query: Json = {
    ...objectOf(body['q']),
    ...(count === undefined ? {} : { num_gpus: { eq: count } }),
  };
  const result = findOffers(world, query);
  if ('refused' in result) return result.refused;
  const [first] = result.found;
  if (first === undefined)
    return failure(404, 'no_such_ask', 'No offers found matching the query.');
  return rent(call, first.ask.id, body);
}

const taken = ({ world }: Call, id: number): FakeAnswer =>
  failure(
    world.options.takenStatus,
    'invalid_args',
    `error 404/3603: no_such_ask  Instance type by id ${id} is not available.`,
    { ask_id: id },
  );
const lost = (id: number): FakeAnswer =>
  failure(
    410,
    'no_such_ask',
    `error 410/3907: no_such_ask Instance type ${id} is no longer available.`,
    { ask_id: id },
  );

async function rent(call: Call, id: number, body: Json): Promise<FakeAnswer> {
  const { world } = call;
  const parsed = readOrder(world, body);
  if ('refused' in parsed) return parsed.refused;
  const ask = world.asks.get(id);
  if (ask === undefined || isRented(world, ask)) return taken(call, id);
  const subject = subjectOf(ask, call.route);
  if (strikes(world, 'offer-taken', subject) !== undefined) {
    world.asks.delete(id);
    return taken(call, id);
  }
  if (strikes(world, 'offer-gone-410', subject) !== undefined) {
    world.asks.delete(id);
    return lost(id);
  }
  if (creditUsd(world) <= 0 || strikes(world, 'no-credit', subject) !== undefined)
    return failure(400, 'insufficient_credit', 'Insufficient credits.');
  if (strikes(world, 'spend-rate-limit', subject) !== undefined)
    return failure(400, 'spend_rate_limit', 'Spend rate limit reached for new accounts.');
  if (strikes(world, 'create-without-instance', subject) !== undefined)
    return success({ new_contract: newId(world), instance_api_key: world.dice.hex(64) });
  const { order } = parsed;
  if (order.diskGb > ask.machine.diskGb - usedDiskGb(world, ask.machine))
    return failure(400, 'invalid_args', 'error 400/3467: Invalid args: not enough disk space');
  return contract(call, ask, order);
}

/** From here on there is a contract, whatever is answered. */
async function contract(call: Call, ask: Ask, order: Order): Promise<FakeAnswer> {
  const { world, life, body } = call;
  const subject = subjectOf(ask, call.route);
  const { bidUsdPerHour: bid } = order;
  const isTooLow = bid !== undefined && bid < ask.minBidUsdPerHour;
  const isTaken =
    freeGpus(world, ask.machine) < ask.count ||
    strikes(world, 'create-unavailable', subject) !== undefined;
  const cancels =
    given(body, 'cancel_unavail') ?? (bid === undefined && body['target_state'] !== 'stopped');
  if (isTaken && cancels === true && !isTooLow) return lost(ask.id);
  const failed = strikes(world, 'create-failed-with-contract', subject) !== undefined;
  const volume = attachVolume(call, ask, order.mountPath);
  if ('refused' in volume) return volume.refused;
  const runs = !isTooLow && !failed && !isTaken && body['target_state'] !== 'stopped';
  const instance = newInstance(world, ask, { ...order, volumeId: volume.volumeId }, runs);
  volume.take(instance.id);
  // The first moment in which others may run: by now everything is taken.
  await openDoors(world, instance);
  if (instance.endedAt !== undefined) closeDoors(instance);
  const begun = begin(call, instance, { isTooLow, failed, isTaken });
  life.settle();
  return begun;
}

function begin(
  { life, body }: Call,
  instance: Instance,
  {
    isTooLow,
    failed,
    isTaken,
  }: { readonly isTooLow: boolean; readonly failed: boolean; readonly isTaken: boolean },
): FakeAnswer {
  const { id, apiKey } = instance;
  if (isTooLow) {
    life.beginStopped(instance, 'bid is too low');
    return failure(400, 'invalid_price', 'Bid price is below the minimum bid of the machine.', {
      new_contract: id,
    });
  }
  if (failed) {
    life.beginStopped(instance, 'error, not started');
    return failure(400, 'invalid_args', 'error 500/3900: instance could not be started', {
      new_contract: id,
    });
  }
  if (isTaken) life.beginStopped(instance, 'required resources are currently unavailable');
  else if (body['target_state'] === 'stopped') life.beginStopped(instance, 'created stopped');
  else life.begin(instance);
  return success({ new_contract: id, instance_api_key: apiKey });
}
