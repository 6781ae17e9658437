import { z } from 'zod';
import { flag, id, listOf, number, text } from './wire.ts';

/* REST v2, and v1 where its name says so. */

const restPortSchema = z.object({ private: number, public: number, type: text, ip: text });
const sshWaySchema = z
  .object({ host: z.string(), port: z.int(), username: z.string() })
  .nullish()
  .catch(undefined);
export const restPodSchema = z.object({
  id,
  name: text,
  status: text,
  disk: number,
  cost: number,
  env: z.record(z.string(), z.string()).nullish().catch(undefined),
  mounts: z
    .object({
      persistent: z.object({ size: number }).nullish().catch(undefined),
      network: listOf(z.object({ volumeId: text })),
    })
    .nullish()
    .catch(undefined),
  gpu: z.object({ count: number }).nullish().catch(undefined),
  dataCenterId: text,
  locked: flag,
  createdAt: text,
  startedAt: text,
  ssh: z.object({ proxy: sshWaySchema, direct: sshWaySchema }).nullish().catch(undefined),
  runtime: z
    .object({ uptime: number, ports: listOf(restPortSchema) })
    .nullish()
    .catch(undefined),
});
export type RestPod = z.output<typeof restPodSchema>;
export const restPodsSchema = z.object({
  pods: z.array(restPodSchema),
  pagination: z.object({ nextCursor: text, hasNextPage: flag }).nullish().catch(undefined),
});

export const oldPodSchema = z.object({
  id,
  name: text,
  desiredStatus: text,
  costPerHr: number,
  containerDiskInGb: number,
  volumeInGb: number,
  gpuCount: number,
  gpu: z.object({ count: number }).nullish().catch(undefined),
  networkVolume: z.object({ id: text }).nullish().catch(undefined),
  env: z.record(z.string(), z.string()).nullish().catch(undefined),
  publicIp: text,
  portMappings: z.record(z.string(), z.number()).nullish().catch(undefined),
  interruptible: flag,
  locked: flag,
  machineId: text,
  createdAt: text,
  lastStartedAt: text,
  lastStatusChange: text,
});
export type OldPod = z.output<typeof oldPodSchema>;

export const restKeysSchema = z.object({ keys: z.array(z.string()) });
export const restVolumesSchema = z.object({
  networkVolumes: z.array(z.object({ id, name: text, size: number, dataCenter: text })),
});
export const restMadeSchema = z.object({ id });
export const restRegistriesSchema = z.object({ registries: listOf(z.object({ id, name: text })) });
export const restTemplateSchema = z.object({
  id,
  image: text,
  args: text,
  disk: number,
  ports: z.array(z.string()).nullish().catch(undefined),
  env: z.record(z.string(), z.string()).nullish().catch(undefined),
  mounts: z
    .object({ persistent: z.object({ size: number, path: text }).nullish().catch(undefined) })
    .nullish()
    .catch(undefined),
  registry: text,
  serverless: flag,
});
export const restTemplatesSchema = z.object({ templates: listOf(restTemplateSchema) });
export type RestTemplate = z.output<typeof restTemplateSchema>;

const levels = listOf(z.object({ id: z.string(), availability: text }));
export const restGpusSchema = z.object({
  gpus: listOf(
    z.object({
      id: z.string().min(1),
      name: text,
      memory: number,
      secure: flag,
      community: flag,
      price: z.object({ secure: number, community: number }).nullish().catch(undefined),
      maxCount: z.object({ secure: number, community: number }).nullish().catch(undefined),
      availability: text,
      dataCenters: levels,
      cudaVersions: listOf(z.object({ version: z.string(), available: flag })),
    }),
  ),
});
export type RestGpus = z.output<typeof restGpusSchema>['gpus'];
export const restDataCentersSchema = z.object({
  dataCenters: listOf(
    z.object({
      id: z.string().min(1),
      name: text,
      networkVolumeTypes: z.array(z.string()).nullish().catch(undefined),
    }),
  ),
});
export type RestDataCenters = z.output<typeof restDataCentersSchema>['dataCenters'];
