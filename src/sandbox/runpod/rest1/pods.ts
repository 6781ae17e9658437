import type { FakeAnswer } from '../../http.ts';
import { type Rental, rent } from '../create.ts';
import { gpuType } from '../gpu-types.ts';
import { listPods, needPod, terminate } from '../manage.ts';
import { minBidPerGpu } from '../market.ts';
import { ANYWHERE } from '../place.ts';
import type { Pod } from '../pod.ts';
import { NO_INSTANCES, Refusal } from '../refusal.ts';
import { type Call, paramOf } from '../router.ts';
import { type OrderFields, orderFrom, templateFor } from '../templates.ts';
import { bodyOf, ok } from './answers.ts';
import { type CreatePod, createPodSchema, updatePodSchema } from './contract.ts';
import { podView } from './views.ts';

type Container = Pick<
  CreatePod,
  | 'containerDiskInGb'
  | 'containerRegistryAuthId'
  | 'dockerEntrypoint'
  | 'dockerStartCmd'
  | 'env'
  | 'imageName'
  | 'ports'
  | 'volumeInGb'
  | 'volumeMountPath'
>;
export function argsOf({
  dockerEntrypoint,
  dockerStartCmd,
}: Pick<Container, 'dockerEntrypoint' | 'dockerStartCmd'>): string | undefined {
  const [entrypoint, cmd] = [dockerEntrypoint ?? [], dockerStartCmd ?? []];
  if (entrypoint.length + cmd.length === 0) return undefined;
  return JSON.stringify({
    ...(entrypoint.length === 0 ? {} : { entrypoint }),
    ...(cmd.length === 0 ? {} : { cmd }),
  });
}
const containerFields = (body: Container): OrderFields => ({
  image: body.imageName ?? undefined,
  args: argsOf(body),
  diskGb: body.containerDiskInGb ?? undefined,
  volumeGb: body.volumeInGb ?? undefined,
  mountPath: body.volumeMountPath ?? undefined,
  ports: body.ports ?? undefined,
  env: body.env ? new Map(Object.entries(body.env)) : undefined,
  registryId: body.containerRegistryAuthId ?? undefined,
});

function rentalFrom({ world, route }: Call, body: CreatePod): Rental {
  const template = templateFor(world, body.templateId);
  const count = body.gpuCount ?? 1;
  const cloud = body.cloudType ?? 'SECURE';
  // There are no machines without GPUs in this market.
  if (body.computeType === 'CPU') throw new Refusal('no-capacity', NO_INSTANCES);
  const defaults =
    template === undefined ? { diskGb: 50, volumeGb: 20, ports: ['8888/http', '22/tcp'] } : {};
  const fields = Object.fromEntries(
    Object.entries(containerFields(body)).filter(([, value]) => value !== undefined),
  );
  const order = orderFrom(template, {
    ...defaults,
    ...fields,
    networkVolumeId: body.networkVolumeId === '' ? undefined : (body.networkVolumeId ?? undefined),
    supportPublicIp: body.supportPublicIp === true,
    globalNetworking: body.globalNetworking === true,
    // This API has no such field and always lets the account's keys in.
    startSsh: true,
  });
  const gpu = gpuType(body.gpuTypeIds?.[0] ?? '');
  const bid = gpu === undefined ? 0 : minBidPerGpu(gpu, cloud);
  return {
    name: body.name ?? 'my pod',
    order,
    route,
    wish: {
      ...ANYWHERE,
      gpuTypeIds: body.gpuTypeIds ?? [],
      count,
      clouds: [cloud],
      dataCenterIds: body.dataCenterIds ?? [],
      countryCodes: body.countryCodes ?? [],
      minRamGb: (body.minRAMPerGPU ?? 8) * count,
      minVcpu: (body.minVCPUPerGPU ?? 2) * count,
      minDownMbps: body.minDownloadMbps ?? 0,
      minUpMbps: body.minUploadMbps ?? 0,
      minDiskMbPerSecond: body.minDiskBandwidthMBps ?? 0,
      allowedCudas: body.allowedCudaVersions ?? [],
      diskGb: order.diskGb + order.volumeGb,
      needsPublicIp: body.supportPublicIp === true,
      globalNetworking: body.globalNetworking === true,
      networkVolumeId: order.networkVolumeId,
      bidPerGpu: body.interruptible === true ? bid : undefined,
    },
  };
}

/** `POST /pods`. */
export function createPod(call: Call): FakeAnswer {
  const body = bodyOf(call, createPodSchema);
  const pod = rent(call.world, call.life, rentalFrom(call, body));
  if (pod === undefined) throw new Refusal('internal', NO_INSTANCES);
  return ok(podView(call, pod), 201);
}

const thePod = (call: Call): Pod => needPod(call.world, paramOf(call), call.route);
export const onePod = (call: Call): FakeAnswer => ok(podView(call, thePod(call)));

const FILTERS: Readonly<Record<string, (pod: Pod) => string | null>> = {
  id: ({ id }) => id,
  name: ({ name }) => name,
  desiredStatus: ({ desired }) => desired,
  imageName: ({ order }) => order.image,
  networkVolumeId: ({ order }) => order.networkVolumeId,
  templateId: ({ order }) => order.templateId,
  gpuTypeId: ({ host }) => host.gpu.id,
  dataCenterId: ({ host }) => host.dataCenter?.id ?? null,
};
/** `GET /pods`: a bare array. */
export function allPods(call: Call): FakeAnswer {
  const { query } = call.request;
  const found = listPods(call.world, call.route).filter((pod) =>
    Object.entries(FILTERS).every(([name, valueOf]) => {
      const wanted = query.getAll(name);
      return wanted.length === 0 || wanted.includes(valueOf(pod) ?? '');
    }),
  );
  return ok(found.map((pod) => podView(call, pod)));
}

/** `PATCH /pods/{id}`. All but a name and a lock starts the container anew. */
export function changePod(call: Call): FakeAnswer {
  const body = bodyOf(call, updatePodSchema);
  const pod = thePod(call);
  const fields = Object.entries(containerFields(body)).filter(([, value]) => value !== undefined);
  pod.order = { ...pod.order, ...Object.fromEntries(fields) };
  if (typeof body.name === 'string') pod.name = body.name;
  if (typeof body.locked === 'boolean') pod.locked = body.locked;
  if (fields.length > 0) call.life.reset(pod);
  return ok(podView(call, pod));
}

export function deletePod(call: Call): FakeAnswer {
  terminate(call.world, call.life, paramOf(call), call.route);
  return { status: 204 };
}

/** `POST /pods/{id}/start` and its like. */
export const powerOf =
  (verb: 'start' | 'stop' | 'reset') =>
  (call: Call): FakeAnswer => {
    const pod = thePod(call);
    if (verb === 'start') call.life.start(pod, undefined, call.route);
    else if (verb === 'stop') call.life.stop(pod);
    else call.life.reset(pod);
    return ok(podView(call, pod));
  };
