import { wordOf } from './market.ts';
import type { PodOrder } from './pod.ts';
import { Refusal } from './refusal.ts';
import { livingPods, type Template, type World } from './world.ts';

export const BLANK_ORDER: PodOrder = {
  image: '',
  args: '',
  diskGb: 10,
  volumeGb: 0,
  mountPath: '/workspace',
  networkVolumeId: null,
  ports: [],
  env: new Map(),
  startSsh: false,
  startJupyter: false,
  registryId: null,
  templateId: null,
  supportPublicIp: undefined,
  globalNetworking: false,
};

export type TemplateFields = Partial<
  Omit<Template, 'id' | 'official' | 'createdAt' | 'lastUsedAt'>
> & { readonly name: string; readonly image: string };

const OFFICIAL: readonly (readonly [id: string, name: string, image: string, diskGb: number])[] = [
  [
    'runpod-torch-v280',
    'RunPod Pytorch 2.8.0',
    'runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404',
    20,
  ],
  [
    'runpod-torch-v21',
    'RunPod Pytorch 2.1',
    'runpod/pytorch:2.1.0-py3.10-cuda11.8.0-devel-ubuntu22.04',
    20,
  ],
  ['runpod-ubuntu', 'RunPod Ubuntu', 'runpod/base:1.0.2-ubuntu2404', 10],
];
/** The official ones, which every account sees. */
export function addOfficialTemplates(world: World): void {
  for (const [id, name, image, diskGb] of OFFICIAL)
    store(world, id, true, {
      name,
      image,
      diskGb,
      volumeGb: id === 'runpod-ubuntu' ? 0 : 20,
      ports: ['8888/http', '22/tcp'],
      startSsh: true,
      startJupyter: true,
      public: true,
      category: id === 'runpod-ubuntu' ? 'CPU' : 'NVIDIA',
    });
}

function store(world: World, id: string, official: boolean, fields: TemplateFields): Template {
  const template: Template = {
    id,
    args: '',
    diskGb: 10,
    volumeGb: 0,
    mountPath: '/workspace',
    ports: [],
    env: new Map(),
    startSsh: true,
    startJupyter: true,
    registryId: null,
    serverless: false,
    public: false,
    category: 'NVIDIA',
    allowedCudaVersions: [],
    readme: '',
    ...fields,
    official,
    createdAt: world.clock.nowSeconds(),
    lastUsedAt: -Infinity,
  };
  world.templates.set(id, template);
  return template;
}

/** Throws `invalid` for a name that is taken and for a serverless one with a volume. */
export function saveTemplate(world: World, fields: TemplateFields, id?: string): Template {
  const isTaken = ownTemplates(world).some((one) => one.name === fields.name && one.id !== id);
  if (isTaken) throw new Refusal('invalid', 'Template name must be unique');
  const known = id === undefined ? undefined : ownTemplate(world, id);
  if (
    (fields.serverless ?? known?.serverless) === true &&
    (fields.volumeGb ?? known?.volumeGb ?? 0) > 0
  )
    throw new Refusal('invalid', 'Serverless templates cannot have a volume');
  if (known === undefined) return store(world, wordOf(world.dice, 10), false, fields);
  return Object.assign(known, fields);
}

export function ownTemplate(world: World, id: string): Template {
  const template = world.templates.get(id);
  if (template === undefined || template.official)
    throw new Refusal('not-found', 'template not found');
  return template;
}
/** Newest first. */
export const ownTemplates = (world: World): readonly Template[] =>
  [...world.templates.values()].filter(({ official }) => !official).reverse();

/** Throws `invalid` while a pod uses it or did a moment ago. */
export function deleteTemplate(world: World, template: Template): void {
  const since = world.clock.nowSeconds() - template.lastUsedAt;
  const isUsed = livingPods(world).some(({ order }) => order.templateId === template.id);
  if (isUsed || since < world.options.templateUseSeconds)
    throw new Refusal('invalid', 'Template is in use and cannot be deleted');
  world.templates.delete(template.id);
}

export type OrderFields = { readonly [Name in keyof PodOrder]?: PodOrder[Name] | undefined };

/** What is said wins over the template, which wins over the defaults; variables are merged one by one. */
export function orderFrom(template: Template | undefined, said: OrderFields): PodOrder {
  const base: PodOrder =
    template === undefined
      ? BLANK_ORDER
      : {
          ...BLANK_ORDER,
          image: template.image,
          args: template.args,
          diskGb: template.diskGb,
          volumeGb: template.volumeGb,
          mountPath: template.mountPath,
          ports: template.ports,
          startSsh: template.startSsh,
          startJupyter: template.startJupyter,
          registryId: template.registryId,
          templateId: template.id,
        };
  const order = { ...base };
  const env = new Map([...(template?.env ?? []), ...(said.env ?? [])]);
  for (const [name, value] of Object.entries(said))
    if (value !== undefined) Object.assign(order, { [name]: value });
  return { ...order, env, ...(order.networkVolumeId === null ? {} : { volumeGb: 0 }) };
}

/** For creates. Throws `not-found` for an unknown one, `contract` for a serverless one. */
export function templateFor(world: World, id: string | null | undefined): Template | undefined {
  if (id === null || id === undefined || id === '') return undefined;
  const template = world.templates.get(id);
  if (template === undefined) throw new Refusal('not-found', 'template not found');
  if (template.serverless)
    throw new Refusal('contract', 'a serverless template cannot be used for a pod');
  return template;
}
