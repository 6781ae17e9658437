import { z } from 'zod';

/*
 * What RunPod really sends, three shapes of it. Only what decides about existence is strict; a descriptive field of a wrong
 * type is taken for absent, so that it never hides a pod.
 */

export const text = z.string().nullish().catch(undefined);
export const flag = z.boolean().nullish().catch(undefined);
/** Numbers come as strings here and there. */
export const number = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^-?\d+(?:\.\d+)?$/)
      .transform(Number),
  ])
  .nullish()
  .catch(undefined);
const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
/** One bad row hides no other. */
const listOf = <T>(schema: z.ZodType<T>) =>
  z
    .array(z.unknown())
    .nullish()
    .catch(undefined)
    .transform((rows) =>
      (rows ?? []).flatMap((row): T[] => {
        const parsed = schema.safeParse(row);
        return parsed.success ? [parsed.data] : [];
      }),
    );

const portSchema = z.object({
  ip: text,
  isIpPublic: flag,
  privatePort: number,
  publicPort: number,
  type: text,
});

export const graphqlPodSchema = z.object({
  id,
  name: text,
  desiredStatus: text,
  podType: text,
  gpuCount: number,
  costPerHr: number,
  containerDiskInGb: number,
  volumeInGb: number,
  networkVolumeId: text,
  env: z.array(z.string()).nullish().catch(undefined),
  createdAt: text,
  lastStartedAt: text,
  lastStatusChange: text,
  machineId: text,
  locked: flag,
  lowestBidPriceToResume: number,
  machine: z.object({ podHostId: text, dataCenterId: text }).nullish().catch(undefined),
  runtime: z
    .object({ uptimeInSeconds: number, ports: listOf(portSchema) })
    .nullish()
    .catch(undefined),
});
export type GraphqlPod = z.output<typeof graphqlPodSchema>;

/** Asked along with everything that may be missing: an account that nobody is logged in to knows no pods either. */
const owner = { id: z.string() };
export const podAnswerSchema = z.object({
  myself: z.object({ ...owner, pods: listOf(z.object({ id })) }).nullable(),
  pod: graphqlPodSchema.nullable(),
});
export const podsAnswerSchema = z.object({
  myself: z.object({ ...owner, pods: z.array(graphqlPodSchema).nullish() }).nullable(),
});
export const accountSchema = z.object({
  myself: z
    .object({
      ...owner,
      clientBalance: number,
      currentSpendPerHr: number,
      spendLimit: number,
      underBalance: flag,
    })
    .nullable(),
});
export const graphqlKeysSchema = z.object({
  myself: z.object({ ...owner, pubKey: text }).nullable(),
});
export const graphqlRegistriesSchema = z.object({
  myself: z
    .object({ ...owner, containerRegistryCreds: listOf(z.object({ id, name: text })) })
    .nullable(),
});
const graphqlVolumeSchema = z.object({ id, name: text, size: number, dataCenterId: text });
export const graphqlVolumesSchema = z.object({
  myself: z
    .object({
      ...owner,
      networkVolumes: z.array(graphqlVolumeSchema).nullish(),
      pods: listOf(z.object({ id, networkVolumeId: text })),
    })
    .nullable(),
});

export const deployedSchema = z.object({
  podFindAndDeployOnDemand: graphqlPodSchema.nullish(),
  podRentInterruptable: graphqlPodSchema.nullish(),
});
export const madeVolumeSchema = z.object({ createNetworkVolume: z.object({ id }) });
export const savedRegistrySchema = z.object({ saveRegistryAuth: z.object({ id }) });
/** Nothing is read from it. */
export const doneSchema = z.unknown();

const pairs = listOf(z.object({ key: z.string(), value: z.string() }));
export const graphqlTemplateSchema = z.object({
  podTemplate: z
    .object({
      id,
      imageName: text,
      dockerArgs: text,
      env: pairs,
      ports: text,
      containerDiskInGb: number,
      volumeInGb: number,
      volumeMountPath: text,
      isServerless: flag,
      containerRegistryAuthId: text,
    })
    .nullable(),
});

const lowestPriceSchema = z
  .object({
    stockStatus: text,
    uninterruptablePrice: number,
    minimumBidPrice: number,
    minVcpu: number,
    minMemory: number,
    availableGpuCounts: z.array(z.number()).nullish().catch(undefined),
    gpuTypeCudaVersions: listOf(z.object({ cudaVersion: z.string(), availability: text })),
  })
  .nullish()
  .catch(undefined);
export const graphqlCatalogSchema = z.object({
  gpuTypes: listOf(
    z.object({
      id: z.string().min(1),
      displayName: text,
      memoryInGb: number,
      secureCloud: flag,
      communityCloud: flag,
      securePrice: number,
      communityPrice: number,
      maxGpuCountSecureCloud: number,
      maxGpuCountCommunityCloud: number,
      secureLowest: lowestPriceSchema,
      communityLowest: lowestPriceSchema,
    }),
  ),
  dataCenters: listOf(
    z.object({
      id: z.string().min(1),
      name: text,
      location: text,
      storageSupport: flag,
      listed: flag,
      gpuAvailability: listOf(z.object({ gpuTypeId: text, stockStatus: text, available: flag })),
    }),
  ),
});
export type GraphqlCatalog = z.output<typeof graphqlCatalogSchema>;

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
