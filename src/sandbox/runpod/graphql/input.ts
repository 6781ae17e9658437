import { z } from 'zod';
import type { Rental } from '../create.ts';
import { ANYWHERE, type Wish } from '../place.ts';
import { Refusal } from '../refusal.ts';
import { orderFrom, templateFor } from '../templates.ts';
import type { World } from '../world.ts';

const text = z.string().nullish();
const number = z.number().nullish();
const flag = z.boolean().nullish();
const texts = z.array(z.string().nullable()).nullish();
export const pairs = z.array(z.object({ key: z.string(), value: z.string() }).nullable()).nullish();

/** The schema has checked the shapes; this names them. */
const createSchema = z.object({
  cloudType: z.enum(['SECURE', 'COMMUNITY', 'ALL']).nullish(),
  gpuTypeId: text,
  gpuTypeIdList: texts,
  gpuCount: number,
  templateId: text,
  imageName: text,
  name: text,
  containerDiskInGb: number,
  volumeInGb: number,
  volumeMountPath: text,
  networkVolumeId: text,
  minVcpuCount: number,
  minMemoryInGb: number,
  minDisk: number,
  minDownload: number,
  minUpload: number,
  dockerArgs: text,
  ports: text,
  env: pairs,
  supportPublicIp: flag,
  startSsh: flag,
  startJupyter: flag,
  dataCenterId: text,
  countryCode: text,
  allowedCudaVersions: texts,
  minCudaVersion: text,
  cudaVersion: text,
  stopAfter: text,
  terminateAfter: text,
  deployCost: number,
  containerRegistryAuthId: text,
  globalNetwork: flag,
  bidPerGpu: number,
});
type Create = z.output<typeof createSchema>;

/** Some clients send an empty text for nothing. */
const filled = (value: string | null | undefined): string | undefined =>
  value === null || value === '' ? undefined : value;
const listOf = (values: z.output<typeof texts>): readonly string[] =>
  (values ?? []).filter((value) => value !== null);
export const portsOf = (ports: string | null | undefined): readonly string[] | undefined =>
  ports === null || ports === undefined
    ? undefined
    : ports
        .split(',')
        .map((port) => port.trim())
        .filter((port) => port !== '');
export const envOf = (env: z.output<typeof pairs>): ReadonlyMap<string, string> | undefined =>
  env === null || env === undefined
    ? undefined
    : new Map(env.flatMap((pair) => (pair === null ? [] : [[pair.key, pair.value] as const])));

function secondsOf(moment: string | null | undefined): number | undefined {
  if (moment === null || moment === undefined || moment === '') return undefined;
  const milliseconds = Date.parse(moment);
  if (Number.isNaN(milliseconds)) throw new Refusal('invalid', 'invalid date');
  return milliseconds / 1_000;
}

function wishOf(asked: Create, diskGb: number): Wish {
  const { cloudType, gpuTypeId, dataCenterId, countryCode, minCudaVersion, cudaVersion } = asked;
  return {
    ...ANYWHERE,
    gpuTypeIds: [...(gpuTypeId ? [gpuTypeId] : []), ...listOf(asked.gpuTypeIdList)],
    count: asked.gpuCount ?? 1,
    clouds: cloudType === 'SECURE' || cloudType === 'COMMUNITY' ? [cloudType] : ANYWHERE.clouds,
    dataCenterIds: dataCenterId ? [dataCenterId] : [],
    countryCodes: countryCode ? [countryCode] : [],
    minVcpu: asked.minVcpuCount ?? 0,
    minRamGb: asked.minMemoryInGb ?? 0,
    minDownMbps: asked.minDownload ?? 0,
    minUpMbps: asked.minUpload ?? 0,
    minCuda: Number(minCudaVersion ?? cudaVersion ?? 0),
    allowedCudas: listOf(asked.allowedCudaVersions),
    diskGb: Math.max(diskGb, asked.minDisk ?? 0),
    needsPublicIp: asked.supportPublicIp === true,
    globalNetworking: asked.globalNetwork === true,
    networkVolumeId: filled(asked.networkVolumeId) ?? null,
    bidPerGpu: asked.bidPerGpu ?? undefined,
  };
}

/** A create as it is asked over GraphQL. Throws a `Refusal`. */
export function rentalFrom(world: World, input: unknown, route: string, isBid: boolean): Rental {
  const asked = createSchema.parse(input);
  const template = templateFor(world, asked.templateId);
  const hasDisk = typeof asked.containerDiskInGb === 'number';
  if (template !== undefined && !hasDisk && world.options.diskNeededWithTemplate)
    throw new Refusal('unfit', 'There is not enough disk space available on this machine');
  const order = orderFrom(template, {
    image: asked.imageName ?? undefined,
    args: asked.dockerArgs ?? undefined,
    diskGb: asked.containerDiskInGb ?? undefined,
    volumeGb: asked.volumeInGb ?? undefined,
    mountPath: asked.volumeMountPath ?? undefined,
    networkVolumeId: filled(asked.networkVolumeId),
    ports: portsOf(asked.ports),
    env: envOf(asked.env),
    startSsh: asked.startSsh ?? undefined,
    startJupyter: asked.startJupyter ?? undefined,
    registryId: asked.containerRegistryAuthId ?? undefined,
    supportPublicIp: asked.supportPublicIp === true,
    globalNetworking: asked.globalNetwork === true,
  });
  const wish = wishOf(asked, order.diskGb + order.volumeGb);
  if (isBid && wish.bidPerGpu === undefined) throw new Refusal('invalid', 'bidPerGpu is required');
  return {
    name: asked.name ?? 'my pod',
    wish: isBid ? wish : { ...wish, bidPerGpu: undefined },
    order,
    stopAt: secondsOf(asked.stopAfter),
    terminateAt: secondsOf(asked.terminateAfter),
    route,
  };
}
