import type { FakeAnswer } from '../http.ts';
import { answer, failure, type Json, success } from './answers.ts';
import { type Call, idOf, living } from './call.ts';
import { rounded } from './dice.ts';
import { given, isObject, textOf } from './foreign.ts';
import { creditUsd, newId, type World } from './world.ts';

export const USER_ID = 123_456;
const MAX_SECRETS = 100;

/** `GET /users/current`. */
export function currentUser({ world, identity }: Call): FakeAnswer {
  const credit = creditUsd(world);
  return answer({
    id: USER_ID,
    key_id: identity?.id,
    email: 'you@example.com',
    username: 'you',
    credit: rounded(Math.max(0, credit), 6),
    balance: rounded(Math.min(0, credit), 6),
    balance_threshold: 0,
    has_billing: true,
    ssh_key: [...world.accountKeys.values()][0]?.publicKey ?? '',
    sid: '1',
  });
}

/** `POST /auth/apikeys/`: the key is told this once. */
export function createApiKey({ world, body }: Call): FakeAnswer {
  const permissions = given(body, 'permissions');
  if (permissions === undefined)
    return failure(400, 'missing_permissions', 'Permissions are required');
  if (!isObject(permissions) || !isObject(permissions['api']))
    return failure(400, 'invalid_permissions', 'Invalid permission format');
  const id = newId(world);
  const key = world.dice.hex(64);
  world.apiKeys.set(id, { id, key, name: textOf(body['name']) ?? '', permissions });
  return answer({ id, key, permissions });
}
/** `GET /auth/apikeys/`: without the keys themselves. */
export function listApiKeys({ world }: Call): FakeAnswer {
  const apikeys = [...world.apiKeys.values()]
    .filter(({ instanceId }) => instanceId === undefined)
    .map(({ id, name, permissions }) => ({
      id,
      user_id: USER_ID,
      name,
      rights: JSON.stringify(permissions ?? { api: {} }),
    }));
  return answer({ apikeys });
}
/** `DELETE /auth/apikeys/{id}/`: answers a JSON string. */
export function deleteApiKey(call: Call): FakeAnswer {
  return call.world.apiKeys.delete(idOf(call))
    ? answer('Successfully Deleted API Key')
    : { status: 404, body: { msg: 'API Key not found.' } };
}

const secretName = (body: Json): string | undefined => textOf(given(body, 'key'))?.toUpperCase();

/** `GET /secrets/`: names only. */
export const listSecrets = ({ world }: Call): FakeAnswer =>
  success({
    secrets: Object.fromEntries([...world.secrets.keys()].map((name) => [name, '*****'])),
  });

function storeSecret(world: World, body: Json, mayExist: boolean): FakeAnswer {
  const name = secretName(body);
  const value = textOf(given(body, 'value'));
  if (name === undefined || value === undefined)
    return failure(400, 'missing_input', "Both 'key' and 'value' are required.");
  if (!/^[A-Za-z_]\w*$/.test(name) || !/^[a-zA-Z0-9_\-.]+$/.test(value))
    return failure(400, 'missing_input', 'Invalid key or value.');
  if (!mayExist && world.secrets.has(name))
    return failure(400, 'existing_key', 'The key exists already.');
  if (mayExist && !world.secrets.has(name))
    return failure(400, 'nonexistent_key', 'The key does not exist.');
  if (world.secrets.size >= MAX_SECRETS) return failure(400, 'max_secrets', 'Too many variables.');
  world.secrets.set(name, value);
  return success({
    msg: mayExist
      ? 'Environment variable updated successfully'
      : 'Environment variable added successfully',
  });
}
export const addSecret = ({ world, body }: Call): FakeAnswer => storeSecret(world, body, false);
export const changeSecret = ({ world, body }: Call): FakeAnswer => storeSecret(world, body, true);
export function deleteSecret({ world, body }: Call): FakeAnswer {
  const name = secretName(body);
  if (name === undefined) return failure(400, 'missing_input', "'key' is required.");
  return world.secrets.delete(name)
    ? success({ msg: 'Environment variable deleted successfully' })
    : failure(400, 'nonexistent_key', 'The key does not exist.');
}

/** `GET /instances/balance/{id}/`: what was prepaid. */
export function deposit(call: Call): FakeAnswer {
  const instance = living(call.world, idOf(call));
  if (instance === undefined) return failure(404, 'no_such_instance', 'Instance not found');
  return success({
    refundable_deposit: instance.prepaidUsd,
    total_discount: 0,
    discount_months: 0,
  });
}
