import { z } from 'zod';

/*
 * What Vast.ai really sends. Only what decides about money or existence is strict; a descriptive field of a wrong type is
 * taken for absent, so that it never hides a machine.
 */

const text = z.string().nullish().catch(undefined);
const number = z.number().nullish().catch(undefined);
/** Ids come as numbers; some endpoints write them as strings. */
const id = z.union([
  z.int().positive(),
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number),
]);

const mappingSchema = z.object({
  HostIp: z.string().nullish().catch(undefined),
  HostPort: z.union([z.string(), z.number()]).transform(String),
});

export const contractSchema = z.object({
  id,
  label: text,
  actual_status: text,
  intended_status: text,
  cur_state: text,
  next_state: text,
  status_msg: text,
  image_runtype: text,
  ssh_host: text,
  ssh_port: number,
  public_ipaddr: text,
  /** Absent or null until the container runs. */
  ports: z
    .record(z.string(), z.array(mappingSchema).nullish().catch(undefined))
    .nullish()
    .catch(undefined),
  machine_id: number,
  start_date: number,
  end_date: number,
  dph_total: number,
  dph_base: number,
  is_bid: z.boolean().nullish().catch(undefined),
  min_bid: number,
  num_gpus: number,
});
export type Contract = z.output<typeof contractSchema>;

/** Gone is `null` under a 200. */
export const showSchema = z.object({ instances: contractSchema.nullable() });
export const listSchema = z.object({
  instances: z.array(contractSchema),
  next_token: z.string().nullish(),
});

export const createdSchema = z.object({ new_contract: id.nullish() });
/** Bodies without words, like "Successfully Deleted", are fine where nothing is read from them. */
export const doneSchema = z.unknown();
export const searchSchema = z.object({ offers: z.array(z.unknown()) });
export const userSchema = z.object({
  id: id.nullish().catch(undefined),
  credit: z.number().nullish(),
});
export type User = z.output<typeof userSchema>;

export const accountKeysSchema = z.array(
  z.object({
    key: z.string().nullish(),
    public_key: z.string().nullish(),
    deleted_at: z.string().nullish(),
  }),
);

export const templateSchema = z.object({
  id,
  hash_id: z.string().min(1),
  name: text,
  image: text,
  tag: text,
  onstart: text,
  runtype: text,
  use_ssh: z.boolean().nullish().catch(undefined),
  ssh_direct: z.boolean().nullish().catch(undefined),
  recommended_disk_space: number,
});
export type Template = z.output<typeof templateSchema>;
export const templatesSchema = z.object({ templates: z.array(templateSchema) });

const countOrId = z.union([z.string(), z.number()]).transform(String);
export const volumeSchema = z.object({
  id,
  label: text,
  status: text,
  machine_id: number,
  disk_space: number,
  storage_cost: number,
  storage_total_cost: number,
  instances: z
    .array(z.union([countOrId, z.object({ id: countOrId }).transform((row) => row.id)]))
    .nullish()
    .catch(undefined),
});
export type VolumeRow = z.output<typeof volumeSchema>;
export const volumesSchema = z.object({ volumes: z.array(volumeSchema) });

export const volumeOffersSchema = z.object({
  offers: z.array(
    z.object({
      id,
      machine_id: number,
      disk_space: number,
      storage_cost: number,
      storage_total_cost: number,
    }),
  ),
});
export type VolumeOffer = z.output<typeof volumeOffersSchema>['offers'][number];

export const logRequestSchema = z.object({ result_url: z.string().min(1) });

/** The parts of an error envelope, any of which may be missing. */
export const envelopeSchema = z.object({
  success: z.boolean().nullish().catch(undefined),
  error: text,
  msg: text,
  message: text,
  detail: text,
  new_contract: id.nullish().catch(undefined),
});
export type Envelope = z.output<typeof envelopeSchema>;
