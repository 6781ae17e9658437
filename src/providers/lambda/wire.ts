import { z } from 'zod';

/*
 * What is read of Lambda's answers. A field that may be missing, or whose words may grow, never stops the rest from being
 * read; secrets of the answers (the Jupyter token) are not read at all.
 */

const text = z.string();
const maybe = <T extends z.ZodType>(schema: T) => schema.nullish().catch(undefined);

export const errorSchema = z.object({
  error: z.object({
    code: text,
    message: text.nullish().catch(undefined),
    suggestion: text.nullish().catch(undefined),
  }),
});

const regionSchema = z.object({ name: text, description: maybe(text) });
export const typeSchema = z.object({
  name: text,
  description: maybe(text),
  gpu_description: maybe(text),
  price_cents_per_hour: z.number().nonnegative(),
  specs: z.object({
    vcpus: z.number().nonnegative(),
    memory_gib: z.number().nonnegative(),
    storage_gib: z.number().nonnegative(),
    gpus: z.int().nonnegative(),
  }),
});
export type InstanceType = z.output<typeof typeSchema>;

/** A type that cannot be read is left out by whoever reads the map. */
export const typesSchema = z.object({ data: z.record(z.string(), z.unknown()) });
export const typeItemSchema = z.object({
  instance_type: typeSchema,
  regions_with_capacity_available: z.array(regionSchema),
});
export type TypeItem = z.output<typeof typeItemSchema>;

const mountSchema = z.object({ file_system_id: text, mount_point: text });
export const instanceSchema = z.object({
  id: text.min(1),
  status: text,
  name: maybe(text),
  ip: maybe(text),
  region: maybe(regionSchema),
  instance_type: maybe(typeSchema),
  file_system_names: maybe(z.array(text)),
  file_system_mounts: maybe(z.array(mountSchema)),
  tags: maybe(z.array(z.object({ key: text, value: text }))),
  /** A made-up cloud on this machine cannot have port 22: only there it is read. */
  ssh_port: maybe(z.int().min(1).max(65_535)),
});
export type Instance = z.output<typeof instanceSchema>;

/** `page_token` is not documented for lists of instances; one that came would mean that the list is not whole. */
export const instancesSchema = z.object({
  data: z.array(instanceSchema),
  page_token: maybe(text),
});
export const instanceAnswerSchema = z.object({ data: instanceSchema });
export const launchedSchema = z.object({
  data: z.object({ instance_ids: z.array(text.min(1)) }),
});
export const terminatedSchema = z.object({
  data: z.object({ terminated_instances: z.array(z.unknown()) }),
});
export const restartedSchema = z.object({
  data: z.object({ restarted_instances: z.array(z.unknown()) }),
});

export const sshKeySchema = z.object({ id: text, name: text, public_key: text });
export type SshKey = z.output<typeof sshKeySchema>;
export const sshKeysSchema = z.object({ data: z.array(sshKeySchema) });
export const sshKeyAnswerSchema = z.object({ data: sshKeySchema });

export const fileSystemSchema = z.object({
  id: text.min(1),
  name: text,
  mount_point: text,
  is_in_use: z.boolean(),
  region: regionSchema,
  bytes_used: maybe(z.number().nonnegative()),
});
export type FileSystem = z.output<typeof fileSystemSchema>;
export const fileSystemsSchema = z.object({ data: z.array(fileSystemSchema) });
export const fileSystemAnswerSchema = z.object({ data: fileSystemSchema });
export const deletedSchema = z.object({ data: z.object({ deleted_ids: z.array(text) }) });

export const imageSchema = z.object({
  id: text,
  name: maybe(text),
  family: text,
  architecture: text,
  region: regionSchema,
});
export type Image = z.output<typeof imageSchema>;
export const imagesSchema = z.object({ data: z.array(imageSchema) });
