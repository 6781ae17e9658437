import type { FakeAnswer } from '../http.ts';
import { failure, noSuchInstance, success } from './answers.ts';
import { type Call, idOf, living } from './call.ts';
import { given, integersOf, numberOf, textOf, textsOf } from './foreign.ts';
import type { Instance } from './instance.ts';
import { templateOf } from './order.ts';
import { creditUsd, sizeOf, strikes, subjectOf } from './world.ts';

const MAX_LABEL = 1_024;
const BULK = 64;
const BULK_START = 100;
const BID_PER_GPU = 32;
const PREPAID_DISCOUNT = 0.4;
const HOURS_PER_MONTH = 720;

type Work = (instance: Instance) => FakeAnswer;
const withInstance = (call: Call, work: Work): FakeAnswer => {
  const id = idOf(call);
  const instance = living(call.world, id);
  return instance === undefined ? noSuchInstance(id) : work(instance);
};

function setState(call: Call, instance: Instance, state: unknown): FakeAnswer {
  const { life, world } = call;
  if (state === 'stopped') {
    life.stop(instance);
    return success();
  }
  if (state !== 'running') return failure(400, 'invalid_args', 'Invalid state.');
  if (world.clock.nowSeconds() >= instance.endAt)
    return failure(400, 'invalid_args', 'The rental has ended: the instance cannot be started.');
  if (creditUsd(world) <= 0) return failure(400, 'insufficient_credit', 'Insufficient credits.');
  if (life.start(instance)) return success();
  return failure(
    200,
    'resources_unavailable',
    'Required resources are currently unavailable, state change queued.',
  );
}

/** `PUT /instances/{id}/`: state, label or both. */
export function manageInstance(call: Call): FakeAnswer {
  return withInstance(call, (instance) => {
    const { body } = call;
    const state = given(body, 'state');
    const hasLabel = Object.hasOwn(body, 'label');
    if (state === undefined && !hasLabel)
      return failure(400, 'invalid_args', 'At least one of state, label is required.');
    const label = textOf(body['label']) ?? '';
    if (label.length > MAX_LABEL)
      return failure(
        400,
        'label_too_long',
        'Please limit label length to 1024 characters, ideally less than 128.',
      );
    if (hasLabel) instance.label = label === '' ? null : label;
    if (state !== undefined) return setState(call, instance, state);
    return success({ msg: `label for ${instance.id} set to '${label}'` });
  });
}

/** `PUT /instances/`: one state for many. */
export function manageMany(call: Call): FakeAnswer {
  const ids = integersOf(call.body['ids']);
  if (ids === undefined || ids.length === 0 || ids.length > BULK)
    return failure(400, 'invalid_args', `'ids' must name 1 to ${BULK} instances.`);
  return setMany(call, ids, call.body['state']);
}
/** `POST /instances/start`. */
export function startMany(call: Call): FakeAnswer {
  const ids = integersOf(call.body['IDs']);
  if (ids === undefined || ids.length === 0 || ids.length > BULK_START)
    return failure(400, 'invalid_args', `'IDs' must name 1 to ${BULK_START} instances.`);
  return setMany(call, ids, 'running');
}
function setMany(call: Call, ids: readonly number[], state: unknown): FakeAnswer {
  let worst: FakeAnswer | undefined;
  for (const id of ids) {
    const instance = living(call.world, id);
    const made = instance === undefined ? noSuchInstance(id) : setState(call, instance, state);
    if (made.status !== 200) worst = made;
  }
  return worst ?? success();
}

function destroy(call: Call, id: number): FakeAnswer {
  const { world, life } = call;
  const instance = living(world, id);
  if (instance === undefined)
    return failure(404, world.options.destroyUnknownError, 'Instance not found');
  const subject = subjectOf(instance.ask, call.route);
  if (strikes(world, 'destroy-fails', subject) !== undefined)
    return failure(500, 'server_error', 'Internal server error');
  if (strikes(world, 'destroy-404', subject) !== undefined)
    return failure(404, world.options.destroyUnknownError, 'Instance not found');
  if (strikes(world, 'destroy-ignored', subject) !== undefined) return success();
  const lingers = strikes(world, 'destroy-lingers', subject);
  if (lingers === undefined) life.end(instance);
  else
    world.clock.after(sizeOf(lingers, 60), () => {
      life.end(instance);
    });
  return success();
}

/** `DELETE /instances/{id}/`. */
export function destroyInstance(call: Call): FakeAnswer {
  const id = idOf(call);
  if (!Number.isInteger(id)) return failure(400, 'invalid_args', 'invalid instance_id');
  return destroy(call, id);
}
/** `DELETE /instances/`. What is gone already stays gone. */
export function destroyMany(call: Call): FakeAnswer {
  const ids = integersOf(call.body['instance_ids']);
  if (ids === undefined || ids.length === 0)
    return failure(400, 'invalid_args', "'instance_ids' is required.");
  const failed = ids.map((id) => destroy(call, id)).find(({ status }) => status >= 500);
  return failed ?? success();
}

/** `PUT /instances/bid_price/{id}/`. */
export function changeBid(call: Call): FakeAnswer {
  const id = idOf(call);
  const instance = living(call.world, id);
  if (instance === undefined)
    return failure(404, 'no_such_instance', 'Instance with that ID does not exist.');
  const price = numberOf(call.body['price']);
  if (price === undefined || price < 0.001 || price > BID_PER_GPU * instance.ask.count)
    return failure(400, 'invalid_args', 'Please set a bid price >= 0.001.');
  if (!instance.isBid)
    return failure(400, 'invalid_args', 'The instance is not interruptible: it has no bid.');
  call.life.bid(instance, price);
  return success();
}

/** `PUT /instances/reboot/{id}/`: stops and starts the container; its data and its GPU stay. */
export const rebootInstance = (call: Call): FakeAnswer =>
  withInstance(call, (instance) => {
    call.life.reboot(instance);
    return success();
  });
/** `PUT /instances/recycle/{id}/`: a new container from a fresh pull; the GPU stays, the data does not. */
export const recycleInstance = (call: Call): FakeAnswer =>
  withInstance(call, (instance) => {
    call.life.recycle(instance);
    return success();
  });

/** `PUT /instances/update_template/{id}/`: holds from the next recycle on. */
export const updateTemplate = (call: Call): FakeAnswer =>
  withInstance(call, (instance) => {
    const { body, world } = call;
    const template = templateOf(world, body);
    const { order } = instance;
    const args = given(body, 'args');
    instance.order = {
      ...order,
      image: textOf(given(body, 'image')) ?? textOf(template?.fields['image']) ?? order.image,
      onstart: textOf(given(body, 'onstart')) ?? order.onstart,
      args: args === undefined ? order.args : textsOf(args),
      ...(template === undefined
        ? {}
        : {
            template: {
              id: template.id,
              hashId: template.hashId,
              name: textOf(template.fields['name']) ?? '',
            },
          }),
    };
    return success();
  });

/** `PUT /instances/prepay/{id}/`. */
export function prepayInstance(call: Call): FakeAnswer {
  const instance = living(call.world, idOf(call));
  if (instance === undefined)
    return { status: 400, body: { success: false, msg: 'No such instance' } };
  const amount = numberOf(call.body['amount']) ?? 0;
  if (amount <= 0 || amount > creditUsd(call.world))
    return { status: 411, body: { success: false, msg: 'Insufficient credit' } };
  instance.prepaidUsd += amount;
  const months = instance.prepaidUsd / (instance.usdPerHour * HOURS_PER_MONTH);
  return success({
    timescale: Math.round(months * 10) / 10,
    discount_rate: Math.min(PREPAID_DISCOUNT, Math.round(months * 0.1 * 100) / 100),
  });
}

/** `PUT /machines/{id}/report`: a complaint about a machine of the market. */
export function reportMachine(call: Call): FakeAnswer {
  const id = idOf(call);
  const isKnown = [...call.world.asks.values()].some(({ machine }) => machine.machineId === id);
  return isKnown
    ? success({ msg: `Machine ${id} reported.` })
    : failure(404, 'no_such_machine', 'Machine not found.');
}
