import { z } from 'zod';
import { wordOf } from '../market.ts';
import { Refusal, WRONG } from '../refusal.ts';
import { deleteTemplate, ownTemplates, saveTemplate } from '../templates.ts';
import { changeVolume, createVolume, deleteVolume, needVolume } from '../volumes.ts';
import { strikes } from '../world.ts';
import { envOf, pairs, portsOf } from './input.ts';
import type { Resolver } from './resolve.ts';
import { templateView, USER_ID, volumeView } from './views.ts';

const templateSchema = z.object({
  id: z.string().nullish(),
  name: z.string(),
  imageName: z.string(),
  containerDiskInGb: z.number(),
  volumeInGb: z.number(),
  dockerArgs: z.string().nullish(),
  env: pairs,
  ports: z.string().nullish(),
  readme: z.string().nullish(),
  volumeMountPath: z.string().nullish(),
  isServerless: z.boolean().nullish(),
  isPublic: z.boolean().nullish(),
  startSsh: z.boolean().nullish(),
  startJupyter: z.boolean().nullish(),
  containerRegistryAuthId: z.string().nullish(),
});
const volumeSchema = z.object({
  id: z.string().nullish(),
  name: z.string().nullish(),
  size: z.number().nullish(),
  dataCenterId: z.string().nullish(),
});
const secretSchema = z.object({
  name: z.string(),
  value: z.string(),
  description: z.string().nullish(),
});
const nameSchema = z.object({ id: z.string().nullish(), name: z.string().nullish() });

/** Mutations of what an account has beside its pods. Who may call them is decided before. */
export const accountMutations: Readonly<Record<string, Resolver>> = {
  updateUserSettings(args, { world, route }) {
    const { pubKey } = z.object({ pubKey: z.string().nullish() }).parse(args['input']);
    const isLost = strikes(world, 'keys-lost', { route }) !== undefined;
    if (typeof pubKey === 'string' && !isLost) world.pubKey = pubKey;
    return { id: USER_ID, pubKey: world.pubKey };
  },
  saveTemplate(args, { world }) {
    const asked = templateSchema.parse(args['input']);
    // Without it the real one fails too, whatever its schema says.
    if (typeof asked.dockerArgs !== 'string') throw new Refusal('internal', WRONG);
    const template = saveTemplate(
      world,
      {
        name: asked.name,
        image: asked.imageName,
        args: asked.dockerArgs,
        diskGb: asked.containerDiskInGb,
        volumeGb: asked.volumeInGb,
        mountPath: asked.volumeMountPath ?? '/workspace',
        ports: portsOf(asked.ports) ?? [],
        env: envOf(asked.env) ?? new Map<string, string>(),
        startSsh: asked.startSsh ?? true,
        startJupyter: asked.startJupyter ?? true,
        registryId: asked.containerRegistryAuthId ?? null,
        serverless: asked.isServerless ?? false,
        public: asked.isPublic ?? false,
        readme: asked.readme ?? '',
      },
      asked.id ?? undefined,
    );
    return templateView(template);
  },
  deleteTemplate(args, { world }) {
    const template = ownTemplates(world).find(({ name }) => name === args['templateName']);
    if (template === undefined) throw new Refusal('not-found', 'template not found');
    deleteTemplate(world, template);
    return null;
  },
  saveRegistryAuth(args, { world }) {
    const { name } = nameSchema.parse(args['input']);
    const registry = { id: `cl${wordOf(world.dice, 23)}`, name: name ?? '' };
    world.registries.set(registry.id, registry);
    return registry;
  },
  updateRegistryAuth(args, { world }) {
    const registry = world.registries.get(nameSchema.parse(args['input']).id ?? '');
    if (registry === undefined) throw new Refusal('not-found', 'registry auth not found');
    return registry;
  },
  deleteRegistryAuth: (args, { world }) => world.registries.delete(String(args['registryAuthId'])),
  createNetworkVolume(args, { world, life, route }) {
    const { name, size, dataCenterId } = volumeSchema.parse(args['input']);
    const wanted = {
      name: name ?? '',
      sizeGb: size ?? 0,
      dataCenterId: dataCenterId ?? '',
      minGb: 1,
      route,
    };
    return volumeView(createVolume(world, life, wanted));
  },
  updateNetworkVolume(args, { world, life }) {
    const { id, name, size } = volumeSchema.parse(args['input']);
    const volume = needVolume(world, id ?? '');
    changeVolume(world, life, volume, { name: name ?? undefined, sizeGb: size ?? undefined });
    return volumeView(volume);
  },
  deleteNetworkVolume(args, { world, life }) {
    const volume = world.volumes.get(volumeSchema.parse(args['input']).id ?? '');
    if (volume === undefined || volume.deletedAt !== undefined)
      throw new Refusal('not-found', 'Tried to delete nonexistent network volume');
    deleteVolume(world, life, volume);
    return null;
  },
  secretCreate(args, { world }) {
    const { name, value, description } = secretSchema.parse(args['input']);
    const now = world.clock.nowSeconds();
    const secret = {
      id: wordOf(world.dice, 10),
      name,
      value,
      description: description ?? '',
      createdAt: now,
      valueAt: now,
    };
    world.secrets.set(secret.id, secret);
    return secret;
  },
  secretDelete(args, { world }) {
    if (!world.secrets.delete(String(args['id'])))
      throw new Refusal('not-found', 'secret not found');
    return null;
  },
};
