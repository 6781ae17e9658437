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
export const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
/** One bad row hides no other. */
export const listOf = <T>(schema: z.ZodType<T>): z.ZodType<T[]> =>
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
