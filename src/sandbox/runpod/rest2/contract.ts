import { z } from 'zod';

/** What is wrong with a body, worded as the real API words it: "$.gpu: missing property 'id'". */
export function complaints(error: z.ZodError): readonly string[] {
  return error.issues.flatMap(worded);
}
function worded(issue: z.core.$ZodIssue): readonly string[] {
  const at = pointer(issue.path);
  if (issue.code === 'unrecognized_keys')
    return [
      `${at}: additional properties ${issue.keys.map((key) => `'${key}'`).join(', ')} not allowed`,
    ];
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) {
    const name = String(issue.path.at(-1) ?? '');
    return [`${pointer(issue.path.slice(0, -1))}: missing property '${name}'`];
  }
  if (issue.code === 'invalid_value')
    return [
      `${at}: value must be one of ${issue.values.map((value) => `'${String(value)}'`).join(', ')}`,
    ];
  return [`${at}: ${issue.message.charAt(0).toLowerCase()}${issue.message.slice(1)}`];
}
const pointer = (path: readonly PropertyKey[]): string =>
  ['$', ...path.map((step) => String(step))].join('.');

const text = z.string();
const env = z.record(z.string(), text);
const cuda = text.regex(/^\d+\.\d+$/);
const persistent = z.strictObject({ size: z.int().min(10), path: text });
const mounts = z.strictObject({
  persistent: persistent.optional(),
  network: z
    .array(z.strictObject({ volumeId: text, path: text }))
    .max(1)
    .optional(),
});
const container = {
  args: text.optional(),
  /** Newer than the published description; the exec form. */
  entrypoint: z.array(text).optional(),
  cmd: z.array(text).optional(),
  disk: z.int().min(1).optional(),
  env: env.optional(),
  image: text.optional(),
  ports: z.array(text).optional(),
  registry: text.nullable().optional(),
};
export const cloudSchema = z.enum(['SECURE', 'COMMUNITY']);

export const createPodSchema = z.strictObject({
  ...container,
  name: text.min(1),
  cloud: cloudSchema.optional(),
  cpu: z.strictObject({ id: text.min(1), vcpuCount: z.int().min(2) }).optional(),
  dataCenterIds: z.array(text).optional(),
  globalNetworking: z.boolean().optional(),
  gpu: z
    .strictObject({
      id: text,
      count: z.int().min(1).optional(),
      allowedCudaVersions: z.array(cuda).optional(),
      minCudaVersion: cuda.optional(),
      minRamPerGpu: z.int().min(1).optional(),
      minVcpuCountPerGpu: z.int().min(1).optional(),
    })
    .optional(),
  mounts: mounts.optional(),
  startJupyter: z.boolean().optional(),
  startSsh: z.boolean().optional(),
  templateId: text.min(1).optional(),
});
export type CreatePod = z.output<typeof createPodSchema>;

export const updatePodSchema = z.strictObject({
  ...container,
  globalNetworking: z.boolean().optional(),
  locked: z.boolean().optional(),
  mounts: mounts.optional(),
  name: text.min(1).optional(),
  templateId: text.optional(),
});
export const actionSchema = z.strictObject({
  action: z.enum(['start', 'stop', 'restart', 'terminate']),
});

const templateFields = {
  ...container,
  allowedCudaVersions: z.array(cuda).optional(),
  category: z.enum(['CPU', 'NVIDIA', 'AMD']).optional(),
  mounts: z.strictObject({ persistent: persistent.optional() }).optional(),
  public: z.boolean().optional(),
  serverless: z.boolean().optional(),
  startJupyter: z.boolean().optional(),
  startSsh: z.boolean().optional(),
};
export const createTemplateSchema = z.strictObject({
  ...templateFields,
  name: text.min(1),
  image: text,
});
export const updateTemplateSchema = z.strictObject({
  ...templateFields,
  name: text.min(1).optional(),
});

const size = z.int().min(10).max(4_096);
export const createVolumeSchema = z.strictObject({
  name: text.min(1),
  size,
  dataCenter: text.min(1),
  type: z.enum(['STANDARD', 'HIGH_PERFORMANCE']).optional(),
});
export const updateVolumeSchema = z
  .strictObject({ name: text.min(1).optional(), size: size.optional() })
  .refine((body) => Object.keys(body).length > 0, { message: 'minProperties: got 0, want 1' });

export const registrySchema = z.strictObject({
  name: text.min(1),
  username: text.min(1),
  password: text.min(1),
});
export const keysSchema = z.strictObject({
  keys: z.array(text.regex(/^(ssh|ecdsa|sk)-[^\s]+ [^\s]+([ \t][^\n\r]*)?$/)),
});
const secretName = text
  .min(1)
  .max(191)
  .regex(/^(?!RUNPOD)[a-zA-Z_][a-zA-Z0-9_.\-/]*$/);
export const createSecretSchema = z.strictObject({
  name: secretName,
  value: text,
  description: text.optional(),
});
export const updateSecretSchema = z.strictObject({
  value: text.optional(),
  description: text.optional(),
});
