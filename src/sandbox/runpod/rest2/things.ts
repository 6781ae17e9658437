import type { FakeAnswer } from '../../http.ts';
import { dataCenter } from '../data-centers.ts';
import { wordOf } from '../market.ts';
import { Refusal } from '../refusal.ts';
import { type Call, paramOf } from '../router.ts';
import {
  deleteTemplate,
  ownTemplate,
  ownTemplates,
  saveTemplate,
  type TemplateFields,
} from '../templates.ts';
import {
  changeVolume,
  createVolume,
  deleteVolume,
  listVolumes,
  needVolume,
  storagePlaces,
} from '../volumes.ts';
import { timestamp } from '../words.ts';
import { accountKeys, type Named, type Secret, strikes } from '../world.ts';
import { bodyOf, NO_CONTENT, ok, oneOf, paged, queryOf } from './answers.ts';
import {
  createSecretSchema,
  createTemplateSchema,
  createVolumeSchema,
  keysSchema,
  registrySchema,
  updateSecretSchema,
  updateTemplateSchema,
  updateVolumeSchema,
} from './contract.ts';
import { containerFields } from './pods.ts';
import { templateView, volumeView } from './views.ts';

const notFound = (): never => {
  throw new Refusal('not-found', 'resource not found');
};

/** `GET /account/ssh-keys`. */
export const keys = ({ world }: Call): FakeAnswer => ok({ keys: accountKeys(world) });
/** `PUT /account/ssh-keys`: all of them at once. */
export function putKeys(call: Call): FakeAnswer {
  const { keys: wanted } = bodyOf(call, keysSchema);
  if (strikes(call.world, 'keys-lost', { route: call.route }) === undefined)
    call.world.pubKey = wanted.join('\n\n');
  return ok({ keys: wanted });
}

type TemplateBody = ReturnType<typeof updateTemplateSchema.parse>;
function templateFields(body: TemplateBody): Partial<TemplateFields> {
  const { args, diskGb, ports, env, registryId, image } = containerFields(body);
  const { persistent } = body.mounts ?? {};
  const fields = {
    name: body.name,
    image,
    args,
    diskGb,
    ports,
    env,
    registryId,
    volumeGb: persistent?.size,
    mountPath: persistent?.path,
    startSsh: body.startSsh,
    startJupyter: body.startJupyter,
    serverless: body.serverless,
    public: body.public,
    category: body.category,
    allowedCudaVersions: body.allowedCudaVersions,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** `/templates`: the account's own. */
export const templates = (call: Call): FakeAnswer =>
  paged(call, 'templates', ownTemplates(call.world).map(templateView));
export function createTemplate(call: Call): FakeAnswer {
  const body = bodyOf(call, createTemplateSchema);
  const { name, image } = body;
  const template = saveTemplate(call.world, { ...templateFields(body), name, image });
  return ok(templateView(template), 201);
}
export const oneTemplate = (call: Call): FakeAnswer => {
  const template = call.world.templates.get(paramOf(call));
  return template === undefined ? notFound() : ok(templateView(template));
};
export function changeTemplate(call: Call): FakeAnswer {
  const body = bodyOf(call, updateTemplateSchema);
  const template = ownTemplate(call.world, paramOf(call));
  const { name, image } = template;
  return ok(
    templateView(saveTemplate(call.world, { name, image, ...templateFields(body) }, template.id)),
  );
}
export function removeTemplate(call: Call): FakeAnswer {
  deleteTemplate(call.world, ownTemplate(call.world, paramOf(call)));
  return NO_CONTENT;
}
/** `GET /catalog/templates`. */
export const catalogTemplates = (call: Call): FakeAnswer => {
  const source = oneOf(call, 'source', ['official', 'verified', 'community']) ?? 'official';
  const found = source === 'official' ? [...call.world.templates.values()] : [];
  return ok({ templates: found.filter(({ official }) => official).map(templateView) });
};

/** `/network-volumes`. */
export const volumes = ({ world }: Call): FakeAnswer =>
  ok({ networkVolumes: listVolumes(world).map(volumeView) });
export function newVolume(call: Call): FakeAnswer {
  const { world, life, route } = call;
  const { name, size, dataCenter: dataCenterId, type } = bodyOf(call, createVolumeSchema);
  if (dataCenter(dataCenterId)?.storage !== true)
    throw new Refusal(
      'invalid',
      `data center ${dataCenterId} does not support network volumes. Supported: ${storagePlaces()}`,
    );
  const wanted = { name, sizeGb: size, dataCenterId, type, minGb: 10, route };
  return ok(volumeView(createVolume(world, life, wanted)), 201);
}
export const oneVolume = (call: Call): FakeAnswer =>
  ok(volumeView(needVolume(call.world, paramOf(call))));
export function editVolume(call: Call): FakeAnswer {
  const { name, size } = bodyOf(call, updateVolumeSchema);
  const volume = needVolume(call.world, paramOf(call));
  changeVolume(call.world, call.life, volume, { name, sizeGb: size });
  return ok(volumeView(volume));
}
export function removeVolume(call: Call): FakeAnswer {
  deleteVolume(call.world, call.life, needVolume(call.world, paramOf(call)));
  return NO_CONTENT;
}

const named = ({ id, name }: Named) => ({ id, name });
/** `/registries`: what was given is never told again. */
export const registries = ({ world }: Call): FakeAnswer =>
  ok({ registries: [...world.registries.values()].map(named) });
export function newRegistry(call: Call): FakeAnswer {
  const { name } = bodyOf(call, registrySchema);
  const registry = { id: `cl${wordOf(call.world.dice, 23)}`, name };
  call.world.registries.set(registry.id, registry);
  return ok(registry, 201);
}
export const oneRegistry = (call: Call): FakeAnswer => {
  const registry = call.world.registries.get(paramOf(call));
  return registry === undefined ? notFound() : ok(named(registry));
};
export const removeRegistry = (call: Call): FakeAnswer =>
  call.world.registries.delete(paramOf(call)) ? NO_CONTENT : notFound();

const secretView = ({ id, name, description, createdAt, valueAt }: Secret) => ({
  id,
  name,
  description,
  createdAt: timestamp(createdAt),
  valueLastUpdatedAt: timestamp(valueAt),
});
/** `/account/secrets`. */
export function secrets(call: Call): FakeAnswer {
  const name = queryOf(call, 'name')?.toLowerCase();
  const found = [...call.world.secrets.values()].filter(
    (one) => name === undefined || one.name.toLowerCase() === name,
  );
  return ok({ secrets: found.map(secretView) });
}
export function newSecret(call: Call): FakeAnswer {
  const { world } = call;
  const body = bodyOf(call, createSecretSchema);
  const isTaken = [...world.secrets.values()].some(({ name }) => name === body.name);
  if (isTaken) throw new Refusal('conflict', 'a secret with this name already exists');
  const { name, value, description = '' } = body;
  const now = world.clock.nowSeconds();
  const id = wordOf(world.dice, 10);
  const secret: Secret = { id, name, value, description, createdAt: now, valueAt: now };
  world.secrets.set(id, secret);
  return ok(secretView(secret), 201);
}
export const oneSecret = (call: Call): FakeAnswer => {
  const secret = call.world.secrets.get(paramOf(call));
  return secret === undefined ? notFound() : ok(secretView(secret));
};
export function changeSecret(call: Call): FakeAnswer {
  const { value, description } = bodyOf(call, updateSecretSchema);
  const secret = call.world.secrets.get(paramOf(call));
  if (secret === undefined) return notFound();
  const changed: Secret = {
    ...secret,
    ...(value === undefined ? {} : { value, valueAt: call.world.clock.nowSeconds() }),
    ...(description === undefined ? {} : { description }),
  };
  call.world.secrets.set(secret.id, changed);
  return ok(secretView(changed));
}
export const removeSecret = (call: Call): FakeAnswer =>
  call.world.secrets.delete(paramOf(call)) ? NO_CONTENT : notFound();
