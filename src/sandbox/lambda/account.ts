import { generateKeyPairSync } from 'node:crypto';
import type { FakeAnswer } from '../http.ts';
import { textOf } from '../vast/foreign.ts';
import { data, invalid, missing, noQuota, refusal } from './answers.ts';
import { billFileSystem } from './billing.ts';
import type { Call } from './call.ts';
import { REGIONS } from './catalog.ts';
import { fileSystemRow } from './rows.ts';
import { type FileSystem, isInUse, type Key, livingFileSystems, newId } from './world.ts';

const keyRow = ({ id, name, publicKey }: Key) => ({ id, name, public_key: publicKey });
const MAX_FILE_SYSTEMS = 24;

export function listKeys({ world }: Call): FakeAnswer {
  return data([...world.keys.values()].map(keyRow));
}

/** Without a key of ours a pair is made, and its private half is told once. */
export function addKey({ world, body }: Call): FakeAnswer {
  const name = textOf(body['name']) ?? '';
  const given = textOf(body['public_key']);
  if (name.length < 1 || name.length > 64) return invalid();
  if (given !== undefined && (given.length > 4096 || !/^(?:ssh|ecdsa|sk)-\S+ \S+/.test(given)))
    return invalid('Invalid public key.');
  const made = given === undefined ? generateKeyPairSync('ed25519') : undefined;
  const pem = made?.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const key = {
    id: newId(world),
    name,
    publicKey: given ?? `ssh-ed25519 ${pem?.toString('base64') ?? ''}`,
  };
  world.keys.set(key.id, key);
  const secret = made?.privateKey.export({ type: 'pkcs8', format: 'pem' });
  return data({ ...keyRow(key), ...(secret === undefined ? {} : { private_key: secret }) });
}

export function deleteKey({ world, id }: Call): FakeAnswer {
  return world.keys.delete(id) ? data({}) : missing('Specified SSH key does not exist.');
}

/** `GET /file-systems`, with a hyphen. */
export function listFileSystems({ world }: Call): FakeAnswer {
  return data(livingFileSystems(world).map((system) => fileSystemRow(world, system)));
}

/** `POST /filesystems`, without. */
export function createFileSystem({ world, body }: Call): FakeAnswer {
  const name = textOf(body['name']) ?? '';
  const region = REGIONS.find((each) => each.name === body['region']);
  if (!/^[a-zA-Z]+[0-9a-zA-Z-]*$/.test(name) || name.length > 60 || region === undefined)
    return invalid();
  if (livingFileSystems(world).some((system) => system.name === name))
    return refusal(400, 'global/duplicate', 'A filesystem with this name exists already.');
  if (livingFileSystems(world).length >= MAX_FILE_SYSTEMS) return noQuota();
  const system: FileSystem = {
    id: newId(world),
    name,
    region,
    createdAt: world.clock.nowSeconds(),
    bytesUsed: 0,
    deletedAt: undefined,
  };
  world.fileSystems.set(system.id, system);
  return data(fileSystemRow(world, system));
}

export function deleteFileSystem({ world, id }: Call): FakeAnswer {
  const system = livingFileSystems(world).find((each) => each.id === id);
  if (system === undefined)
    return refusal(404, 'global/object-does-not-exist', 'Filesystem was not found.');
  if (isInUse(world, system))
    return refusal(
      400,
      'filesystems/filesystem-in-use',
      'The filesystem is mounted to an instance.',
    );
  system.deletedAt = world.clock.nowSeconds();
  billFileSystem(world, system);
  return data({ deleted_ids: [id] });
}

export function listRules({ world }: Call): FakeAnswer {
  return data(world.firewallRules);
}

/** What is left out of the list is gone. */
export function setRules({ world, body }: Call): FakeAnswer {
  const rules: unknown = body['data'];
  if (!Array.isArray(rules) || rules.length > 20) return invalid();
  world.firewallRules = rules;
  return data(world.firewallRules);
}
