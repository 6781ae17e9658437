import path from 'node:path';
import { z } from 'zod';
import type { Neighbour } from './beside.ts';
import { type Bytes, broken, unchecked } from './bytes.ts';
import { readSafetensors, type Tensor } from './safetensors.ts';
import { proveTorch } from './torch.ts';

const MAX_INDEX_BYTES = 8 << 20;
/** Objects and lists: such files have a handful, and many of them fill the memory. */
const MAX_PARTS = 10_000;
const indexSchema = z.object({
  metadata: z.object({ total_size: z.number().optional() }).loose().optional(),
  weight_map: z.record(z.string(), z.string()),
});
const adapterSchema = z
  .object({
    peft_type: z.string().optional(),
    r: z.int().positive().optional(),
    base_model_name_or_path: z.string().nullish(),
  })
  .loose();

/**
 * The index of weights that are split over files: each file it names is beside it, holds every tensor that it says, and all
 * together have the size it tells. The files' own bytes are proven apart.
 */
export async function proveIndex(bytes: Bytes, neighbour: Neighbour): Promise<'structure'> {
  const index = await parseAs(bytes, indexSchema, 'it is no index of weights');
  const byShard = new Map<string, Set<string>>();
  for (const [tensor, shard] of Object.entries(index.weight_map)) {
    const known = byShard.get(shard);
    if (known === undefined) byShard.set(shard, new Set([tensor]));
    else known.add(tensor);
  }
  if (byShard.size === 0) throw broken('it names no tensor');
  let total: number | undefined = 0;
  for (const [shard, tensors] of byShard) {
    if (path.basename(shard) !== shard || /[\\\0]/.test(shard))
      throw broken('it names a file outside of its folder');
    await using file = await neighbour(shard);
    if (file === undefined)
      throw broken('a file of weights that it names is not beside it. Fetch the whole folder');
    const found = await sizeOfShard(file, shard, tensors);
    total = total === undefined || found === undefined ? undefined : total + found;
  }
  const told = index.metadata?.total_size;
  if (total !== undefined && told !== undefined && told !== total)
    throw broken('its files together have another size than it tells');
  return 'structure';
}

/** Bytes of all tensors of a shard that must hold `wanted`; undefined where only their names can be seen. */
async function sizeOfShard(
  file: Bytes,
  shard: string,
  wanted: ReadonlySet<string>,
): Promise<number | undefined> {
  const missing = new Set(wanted);
  let total: number | undefined;
  if (shard.endsWith('.safetensors')) {
    const { tensors } = await readSafetensors(file);
    total = 0;
    for (const { name, data_offsets } of tensors) {
      missing.delete(name);
      total += data_offsets[1] - data_offsets[0];
    }
  } else await proveTorch(file, { limit: 'structure', onText: (text) => missing.delete(text) });
  if (missing.size > 0) throw broken('a file of weights lacks a tensor that the index says it has');
  return total;
}

/** The configuration of an adapter, with its weights beside it. */
export async function proveAdapterConfig(bytes: Bytes, neighbour: Neighbour): Promise<'loaded'> {
  await parseAs(bytes, adapterSchema, 'it is no configuration of an adapter');
  for (const name of ['adapter_model.safetensors', 'adapter_model.bin']) {
    await using file = await neighbour(name);
    if (file !== undefined) return 'loaded';
  }
  throw broken('the weights of the adapter are not beside it. Fetch the whole folder');
}

/**
 * The weights of a LoRA adapter beyond their own format: each A has its B, ranks fit each other, and B is not all zero, as
 * it is before any training. Tensors of other adapters are not looked at.
 */
export async function checkAdapter(bytes: Bytes): Promise<void> {
  const { base, tensors } = await readSafetensors(bytes);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const downs = tensors.filter(({ name }) => name.includes('.lora_A.'));
  if (downs.length === 0) return;
  let isTrained = false;
  for (const down of downs) {
    const up = byName.get(down.name.replace('.lora_A.', '.lora_B.'));
    if (up === undefined) throw broken('a matrix A of the adapter has no matrix B');
    if (down.shape[0] !== up.shape[1]) throw broken('matrices of the adapter have unlike ranks');
    isTrained ||= await holdsValue(bytes, base, up);
  }
  if (!isTrained)
    throw broken('every matrix B of the adapter is zero: nothing was trained, or it was not saved');
}

async function holdsValue(bytes: Bytes, base: number, { data_offsets }: Tensor): Promise<boolean> {
  for await (const chunk of bytes.chunks(base + data_offsets[0], base + data_offsets[1]))
    if (chunk.some((byte) => (byte & 0x7f) !== 0)) return true;
  return false;
}

async function parseAs<Schema extends z.ZodType>(
  bytes: Bytes,
  schema: Schema,
  why: string,
): Promise<z.output<Schema>> {
  if (bytes.size > MAX_INDEX_BYTES) throw unchecked('it is too long to be read here');
  const content = await bytes.at(0, bytes.size);
  let parts = 0;
  for (const byte of content) if (byte === 0x5b || byte === 0x7b) parts += 1;
  if (parts > MAX_PARTS) throw broken(why);
  try {
    return schema.parse(JSON.parse(content.toString('utf8')));
  } catch {
    throw broken(why);
  }
}
