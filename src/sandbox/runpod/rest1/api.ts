import type { FakeAnswer } from '../../http.ts';
import { allows } from '../identity.ts';
import { wordOf } from '../market.ts';
import { Refusal } from '../refusal.ts';
import { type Call, findRoute, paramOf, refusable, routesFrom } from '../router.ts';
import { deleteTemplate, ownTemplate, ownTemplates, saveTemplate } from '../templates.ts';
import { changeVolume, createVolume, deleteVolume, listVolumes, needVolume } from '../volumes.ts';
import { BadBody, bodyOf, ok, wordRefusal } from './answers.ts';
import { registrySchema, templateSchema, volumeSchema } from './contract.ts';
import { allPods, argsOf, changePod, createPod, deletePod, onePod, powerOf } from './pods.ts';
import { templateView, volumeView } from './views.ts';

const NO_CONTENT: FakeAnswer = { status: 204 };

function templateFrom(call: Call, id?: string): FakeAnswer {
  const body = bodyOf(call, templateSchema);
  const known = id === undefined ? undefined : ownTemplate(call.world, id);
  const name = body.name ?? known?.name;
  const image = body.imageName ?? known?.image;
  if (name === undefined || image === undefined)
    throw new BadBody('name and imageName are required');
  const fields = Object.entries({
    args: argsOf(body),
    diskGb: body.containerDiskInGb,
    volumeGb: body.volumeInGb,
    mountPath: body.volumeMountPath,
    ports: body.ports,
    env: body.env ? new Map(Object.entries(body.env)) : undefined,
    registryId: body.containerRegistryAuthId,
    serverless: body.isServerless,
    public: body.isPublic,
    category: body.category,
    readme: body.readme,
  }).filter(([, value]) => value !== undefined && value !== null);
  const saved = saveTemplate(call.world, { name, image, ...Object.fromEntries(fields) }, id);
  return ok(templateView(saved));
}
function listTemplates(call: Call): FakeAnswer {
  const withOfficial = call.request.query.get('includeRunpodTemplates') === 'true';
  const official = [...call.world.templates.values()].filter((one) => one.official);
  return ok([...ownTemplates(call.world), ...(withOfficial ? official : [])].map(templateView));
}
function oneTemplate({ world, params }: Call): FakeAnswer {
  const template = world.templates.get(params[0] ?? '');
  if (template === undefined) throw new Refusal('not-found', 'template not found');
  return ok(templateView(template));
}

function newVolume(call: Call): FakeAnswer {
  const { name, size, dataCenterId } = bodyOf(call, volumeSchema);
  const { world, life, route } = call;
  const wanted = {
    name: name ?? '',
    sizeGb: size ?? 0,
    dataCenterId: dataCenterId ?? '',
    minGb: 0,
  };
  return ok(volumeView(createVolume(world, life, { ...wanted, route })));
}
function editVolume(call: Call): FakeAnswer {
  const { name, size } = bodyOf(call, volumeSchema);
  const volume = needVolume(call.world, paramOf(call));
  changeVolume(call.world, call.life, volume, {
    name: name ?? undefined,
    sizeGb: size ?? undefined,
  });
  return ok(volumeView(volume));
}

function newRegistry(call: Call): FakeAnswer {
  const { name } = bodyOf(call, registrySchema);
  const registry = { id: `cl${wordOf(call.world.dice, 23)}`, name };
  call.world.registries.set(registry.id, registry);
  return ok(registry);
}
const registryViews = ({ world }: Call) =>
  [...world.registries.values()].map(({ id, name }) => ({ id, name }));
function oneRegistry(call: Call): FakeAnswer {
  const found = registryViews(call).find(({ id }) => id === paramOf(call));
  if (found === undefined) throw new Refusal('not-found', 'container registry auth not found');
  return ok(found);
}

const ROUTES = routesFrom({
  'GET /pods': allPods,
  'POST /pods': createPod,
  'GET /pods/{}': onePod,
  'PATCH /pods/{}': changePod,
  'POST /pods/{}/update': changePod,
  'DELETE /pods/{}': deletePod,
  'POST /pods/{}/start': powerOf('start'),
  'POST /pods/{}/stop': powerOf('stop'),
  'POST /pods/{}/reset': powerOf('reset'),
  'POST /pods/{}/restart': powerOf('reset'),
  'GET /templates': listTemplates,
  'POST /templates': (call) => templateFrom(call),
  'GET /templates/{}': oneTemplate,
  'PATCH /templates/{}': (call) => templateFrom(call, paramOf(call)),
  'POST /templates/{}/update': (call) => templateFrom(call, paramOf(call)),
  'DELETE /templates/{}': (call) => {
    deleteTemplate(call.world, ownTemplate(call.world, paramOf(call)));
    return NO_CONTENT;
  },
  'GET /networkvolumes': ({ world }) => ok(listVolumes(world).map(volumeView)),
  'POST /networkvolumes': newVolume,
  'GET /networkvolumes/{}': (call) => ok(volumeView(needVolume(call.world, paramOf(call)))),
  'PATCH /networkvolumes/{}': editVolume,
  'POST /networkvolumes/{}/update': editVolume,
  'DELETE /networkvolumes/{}': (call) => {
    deleteVolume(call.world, call.life, needVolume(call.world, paramOf(call)));
    return NO_CONTENT;
  },
  'GET /containerregistryauth': (call) => ok(registryViews(call)),
  'POST /containerregistryauth': newRegistry,
  'GET /containerregistryauth/{}': oneRegistry,
  'DELETE /containerregistryauth/{}': (call) => {
    oneRegistry(call);
    call.world.registries.delete(paramOf(call));
    return NO_CONTENT;
  },
});

const VERBS: Readonly<Record<string, string>> = {
  POST: 'create',
  PATCH: 'update',
  DELETE: 'delete',
  GET: 'get',
};
const NOUNS: Readonly<Record<string, string>> = {
  pods: 'pod',
  templates: 'template',
  networkvolumes: 'network volume',
  containerregistryauth: 'container registry auth',
};
/** "start pod", as errors begin. */
function workOf(method: string, path: string): string {
  const [, noun = '', , verb] = path.split('/');
  return `${verb ?? VERBS[method] ?? ''} ${NOUNS[noun] ?? noun}`;
}

/** REST v1, below its base path: flat bodies, bare arrays, and 500 for nearly everything. */
export async function answerV1(call: Call, path: string): Promise<FakeAnswer> {
  const { request, identity, world } = call;
  if (identity === 'nobody' || identity === 'stranger')
    return { status: 401, text: 'Unauthorized' };
  const found = findRoute(ROUTES, request.method, path);
  if ('allowed' in found) {
    const status = found.allowed.length === 0 ? 404 : 405;
    return { status, body: { error: status === 404 ? 'not found' : 'method not allowed', status } };
  }
  const isOwn =
    identity.podId !== undefined && world.options.podKeyRest && identity.podId === found.params[0];
  if (!isOwn && !allows(identity.rest, request.method === 'GET' ? 'read' : 'write'))
    return { status: 403, body: { error: 'Forbidden', status: 403 } };
  try {
    return await refusable(
      async () => found.route.handle({ ...call, params: found.params }),
      (refusal) => wordRefusal(refusal, workOf(request.method, path)),
    );
  } catch (failure) {
    if (failure instanceof BadBody)
      return { status: 400, body: { error: failure.message, status: 400 } };
    throw failure;
  }
}
