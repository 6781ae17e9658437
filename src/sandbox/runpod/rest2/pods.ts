import type { FakeAnswer } from '../../http.ts';
import { rent } from '../create.ts';
import { logStream } from '../logs.ts';
import { listPods, needPod, terminate } from '../manage.ts';
import { ANYWHERE, type Wish } from '../place.ts';
import type { Pod, PodOrder } from '../pod.ts';
import { NO_CAPACITY, Refusal } from '../refusal.ts';
import { type Call, paramOf } from '../router.ts';
import { type OrderFields, orderFrom, templateFor } from '../templates.ts';
import { strikes, subjectOf } from '../world.ts';
import {
  bodyOf,
  ContractBreach,
  NO_CONTENT,
  ok,
  oneOf,
  paged,
  queryOf,
  wholeOf,
} from './answers.ts';
import { actionSchema, type CreatePod, createPodSchema, updatePodSchema } from './contract.ts';
import { actionsOf, podView } from './views.ts';

const refuse = (message: string): never => {
  throw new Refusal('invalid', message);
};

type Container = Pick<
  CreatePod,
  'args' | 'entrypoint' | 'cmd' | 'disk' | 'env' | 'image' | 'ports' | 'registry'
>;
/** The exec form wins where it is used. */
function argsOf({ args, entrypoint, cmd }: Container): string | undefined {
  if (entrypoint === undefined && cmd === undefined) return args;
  return JSON.stringify({
    ...(entrypoint === undefined ? {} : { entrypoint }),
    ...(cmd === undefined ? {} : { cmd }),
  });
}
export function containerFields(body: Container): OrderFields {
  return {
    image: body.image,
    args: argsOf(body),
    diskGb: body.disk,
    ports: body.ports,
    env: body.env === undefined ? undefined : new Map(Object.entries(body.env)),
    registryId: body.registry,
  };
}

function wishOf(call: Call, body: CreatePod): Wish {
  const { gpu, mounts } = body;
  if ((gpu === undefined) === (body.cpu === undefined))
    return refuse('exactly one of gpu or cpu must be provided');
  if (mounts?.persistent !== undefined && (mounts.network ?? []).length > 0)
    return refuse('mounts.persistent and mounts.network are mutually exclusive');
  // There are no machines without GPUs in this market.
  if (gpu === undefined) return refuse(NO_CAPACITY);
  if (gpu.allowedCudaVersions !== undefined && gpu.minCudaVersion !== undefined)
    return refuse('gpu.allowedCudaVersions and gpu.minCudaVersion are mutually exclusive');
  if (gpu.count === undefined && call.world.options.countNeeded) return refuse(NO_CAPACITY);
  const count = gpu.count ?? 1;
  return {
    ...ANYWHERE,
    gpuTypeIds: [gpu.id],
    count,
    clouds: [body.cloud ?? 'SECURE'],
    dataCenterIds: body.dataCenterIds ?? [],
    minRamGb: (gpu.minRamPerGpu ?? 0) * count,
    minVcpu: (gpu.minVcpuCountPerGpu ?? 0) * count,
    minCuda: Number(gpu.minCudaVersion ?? 0),
    allowedCudas: gpu.allowedCudaVersions ?? [],
    globalNetworking: body.globalNetworking === true,
    networkVolumeId: mounts?.network?.[0]?.volumeId ?? null,
  };
}

/** `POST /pods`. */
export function createPod(call: Call): FakeAnswer {
  const { world, life, route } = call;
  const body = bodyOf(call, createPodSchema);
  if (body.templateId === undefined && body.image === undefined)
    throw new ContractBreach(["$: missing property 'image'"]);
  const wish = wishOf(call, body);
  const template = templateFor(world, body.templateId);
  const { mounts } = body;
  const network = mounts?.network?.[0];
  if (network !== undefined && !world.volumes.has(network.volumeId))
    throw new Refusal('not-found', 'resource not found');
  const order = orderFrom(template, {
    ...containerFields(body),
    volumeGb: mounts?.persistent?.size,
    mountPath: mounts?.persistent?.path ?? network?.path,
    networkVolumeId: network?.volumeId,
    startSsh: body.startSsh,
    startJupyter: body.startJupyter,
    globalNetworking: body.globalNetworking,
  });
  const disk = { ...wish, diskGb: order.diskGb + order.volumeGb };
  const pod = rent(world, life, { name: body.name, wish: disk, order, route });
  if (pod === undefined) throw new Refusal('internal', 'failed to create pod');
  return ok(podView(world, pod), 201);
}

const thePod = (call: Call): Pod => needPod(call.world, paramOf(call), call.route);

/** `GET /pods`. */
export const allPods = (call: Call): FakeAnswer =>
  paged(
    call,
    'pods',
    listPods(call.world, call.route).map((pod) => podView(call.world, pod)),
  );
/** `GET /pods/{id}`. */
export const onePod = (call: Call): FakeAnswer => ok(podView(call.world, thePod(call)));

/** `PATCH /pods/{id}`. What touches the container starts it anew. */
export function changePod(call: Call): FakeAnswer {
  const body = bodyOf(call, updatePodSchema);
  const pod = thePod(call);
  const { mounts } = body;
  if ((mounts?.network ?? []).length > 0) return refuse('network mounts cannot be changed');
  const { persistent } = mounts ?? {};
  if (persistent !== undefined && persistent.size < pod.order.volumeGb)
    return refuse('mounts.persistent.size must not be smaller than the current size');
  const template = templateFor(call.world, body.templateId);
  const base =
    template === undefined ? pod.order : { ...orderFrom(template, {}), ...kept(pod.order) };
  const fields = Object.entries({
    ...containerFields(body),
    volumeGb: persistent?.size,
    globalNetworking: body.globalNetworking,
  }).filter(([, value]) => value !== undefined);
  pod.order = { ...base, ...Object.fromEntries(fields) };
  if (body.name !== undefined) pod.name = body.name;
  if (body.locked !== undefined) pod.locked = body.locked;
  const touched = Object.keys(body).some((name) => !['name', 'locked'].includes(name));
  if (touched) call.life.reset(pod);
  return ok(podView(call.world, pod));
}
const kept = ({ networkVolumeId, volumeGb, mountPath, env }: PodOrder) => ({
  networkVolumeId,
  volumeGb,
  mountPath,
  env,
});

/** `DELETE /pods/{id}`. */
export function deletePod(call: Call): FakeAnswer {
  terminate(call.world, call.life, paramOf(call), call.route);
  return NO_CONTENT;
}

/** `POST /pods/{id}/action`. */
export function actOnPod(call: Call): FakeAnswer {
  const { action } = bodyOf(call, actionSchema);
  const { life, world, route } = call;
  const pod = thePod(call);
  if (!actionsOf(pod).includes(action))
    throw new Refusal('conflict', `action ${action} is not valid while the pod is ${pod.phase}`);
  if (action === 'terminate') return deletePod(call);
  if (action === 'start') life.start(pod, undefined, route);
  else if (action === 'stop') life.stop(pod);
  else life.reset(pod);
  return ok(podView(world, pod));
}

const MAX_TAIL = 5_000;
const DEFAULT_TAIL = 100;
/** `GET /pods/{id}/logs`: events without an end. */
export function podLogs(call: Call): FakeAnswer {
  const { world, request, route } = call;
  const source = oneOf(call, 'source', ['container', 'system']);
  const tail = wholeOf(call, 'tail', { min: 0, max: MAX_TAIL }) ?? DEFAULT_TAIL;
  const since = queryOf(call, 'since');
  const sinceSeconds = since === undefined ? undefined : Date.parse(since) / 1_000;
  if (Number.isNaN(sinceSeconds)) throw new ContractBreach(["parameter 'since': is not a time"]);
  const pod = thePod(call);
  const afterId = request.headers['last-event-id'];
  const silent = strikes(world, 'logs-silent', subjectOf(pod, route)) !== undefined;
  return {
    status: 200,
    contentType: 'text/event-stream',
    headers: {
      'Cache-Control': 'no-cache',
      Connection: 'keep-alive',
      'X-Accel-Buffering': 'no',
    },
    stream: logStream(world, pod, { source, tail, sinceSeconds, afterId }, silent),
  };
}
