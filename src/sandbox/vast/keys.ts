import type { FakeAnswer } from '../http.ts';
import { answer, failure, noSuchInstance, success } from './answers.ts';
import { type Call, idOf, living } from './call.ts';
import { spreadKeys } from './container.ts';
import { textOf } from './foreign.ts';
import { type AccountKey, newId, type World } from './world.ts';

const noKey = (): FakeAnswer => failure(400, 'no_ssh_key', 'No ssh key provided');
const clean = (value: unknown): string => (textOf(value) ?? '').replaceAll('\0', '').trim();
const timestamp = (world: World): string =>
  new Date(world.clock.nowSeconds() * 1_000).toISOString().replace(/\.\d+Z$/, 'Z');

const USER_ID = 123_456;
const fields = ({ id, createdAt }: AccountKey) => ({
  id,
  user_id: USER_ID,
  created_at: createdAt,
  deleted_at: null,
});
/** The list says `key`, everything else says `public_key`. */
const listed = (key: AccountKey) => ({ ...fields(key), key: key.publicKey });
const made = (key: AccountKey) => ({ ...fields(key), public_key: key.publicKey });

/** `GET /ssh/`: a bare array. */
export function listKeys({ world }: Call): FakeAnswer {
  const keys = [...world.accountKeys.values()].map(listed);
  return keys.length === 0 && world.options.noKeysStatus === 404
    ? failure(404, 'no_ssh_key', 'No SSH keys found for the user.')
    : answer(keys);
}

/** `POST /ssh/`. Instances that are there already do not get the key. */
export function addKey({ world, body, identity }: Call): FakeAnswer {
  if (identity?.team === true)
    return failure(
      400,
      'team_ssh_keys_not_supported',
      'Team SSH keys are not supported. SSH keys can only be created in personal context.',
    );
  const publicKey = clean(body['ssh_key']);
  if (publicKey === '') return noKey();
  const key: AccountKey = { id: newId(world), publicKey, createdAt: timestamp(world) };
  world.accountKeys.set(key.id, key);
  return success({ key: made(key) });
}

/** `PUT /ssh/{id}/`. */
export function changeKey(call: Call): FakeAnswer {
  const key = call.world.accountKeys.get(idOf(call));
  const publicKey = clean(call.body['ssh_key']);
  if (key === undefined || publicKey === '') return noKey();
  key.publicKey = publicKey;
  return success({ key: made(key) });
}

/** `DELETE /ssh/{id}/`. */
export function deleteKey(call: Call): FakeAnswer {
  return call.world.accountKeys.delete(idOf(call)) ? success() : noKey();
}

/** `POST /instances/{id}/ssh/`: reaches a running container within seconds. */
export function attachKey(call: Call): FakeAnswer {
  const { world, body } = call;
  const id = idOf(call);
  const instance = living(world, id);
  if (instance === undefined) return noSuchInstance(id);
  const publicKey = clean(body['ssh_key']);
  if (publicKey === '') return noKey();
  if (!/^(?:ssh|ecdsa|sk)-/.test(publicKey))
    return failure(400, 'invalid_args', 'Invalid ssh key.');
  if (!instance.keys.some((key) => key.publicKey === publicKey)) {
    const keyId = newId(world);
    instance.keys.push({ id: keyId, name: `key-${keyId}`, publicKey });
    spreadKeys(world, instance);
  }
  return success({ msg: 'SSH key attached successfully' });
}

/** `GET /instances/{id}/ssh/`: the keys as JSON within JSON. */
export function listInstanceKeys(call: Call): FakeAnswer {
  const id = idOf(call);
  const instance = living(call.world, id);
  if (instance === undefined) return noSuchInstance(id);
  const keys = instance.keys.map((key) => ({
    id: key.id,
    name: key.name,
    public_key: key.publicKey,
  }));
  return success({ ssh_keys: JSON.stringify(keys) });
}

/** `DELETE /instances/{id}/ssh/{key}/`. */
export function detachKey(call: Call): FakeAnswer {
  const id = idOf(call);
  const instance = living(call.world, id);
  if (instance === undefined) return failure(404, 'no_such_instance', 'Instance not found.');
  const keyId = idOf(call, 1);
  const left = instance.keys.filter((key) => key.id !== keyId);
  if (left.length === instance.keys.length)
    return failure(404, 'no_such_ssh_key', 'SSH key not found.');
  instance.keys = left;
  spreadKeys(call.world, instance);
  return success({ msg: 'SSH key removed from instance.' });
}
