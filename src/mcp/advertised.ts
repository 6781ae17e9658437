import { z } from 'zod';
import type { Effect, Tool } from '../tools/tool.ts';

/** What `tools/list` says of one tool. */
const advertisedSchema = z.looseObject({ type: z.literal('object') });
export type AdvertisedSchema = z.output<typeof advertisedSchema>;
export interface AdvertisedTool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: AdvertisedSchema;
  readonly outputSchema: AdvertisedSchema;
  readonly annotations: Annotations;
}

/** Never taken from the defaults, which are the worst case. Reads count as open world too: pods print what they like. */
const ANNOTATIONS = {
  read: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  write: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  spend: {
    readOnlyHint: false,
    destructiveHint: false,
    idempotentHint: false,
    openWorldHint: true,
  },
  execute: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: false,
    openWorldHint: true,
  },
  destroy: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: true,
    openWorldHint: true,
  },
} as const satisfies Record<Effect, object>;
type Annotations = (typeof ANNOTATIONS)[Effect];

/** The four hints follow from the one word. */
export function annotationsOf(effect: Effect): Annotations {
  return ANNOTATIONS[effect];
}

/** Checked by us with better words than a client has, so a model need not read them. */
const INPUT_NOISE = [
  '$schema',
  'pattern',
  'propertyNames',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minimum',
  'exclusiveMinimum',
];
/**
 * A client validates every result against this, errors included (some do even when `isError` is set), so the root
 * demands nothing. What the server sends is checked against the full schema before.
 */
const OUTPUT_NOISE = [
  ...INPUT_NOISE,
  '$defs',
  'additionalProperties',
  'description',
  'required',
  'maximum',
  'default',
];
/** A schema described with these words is shown by one tool in full and by the others by reference. */
const BY_REFERENCE = 'As in ';
/** Larger limits are there to stop abuse, not to plan with. */
const LARGE = 100_000;
/** Deeper objects are announced as objects: their fields are read, not planned for. */
const OUTPUT_DEPTH = 3;

/** The listing of a tool: small, flat, and always the same. */
export function advertise({
  name,
  title,
  description,
  effect,
  input,
  output,
}: Tool): AdvertisedTool {
  const inputSchema = z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' });
  const outputSchema = z.toJSONSchema(output, { io: 'output', unrepresentable: 'any' });
  return {
    name,
    title,
    description,
    inputSchema: advertisedSchema.parse(trim(inputSchema, new Set(INPUT_NOISE), Infinity)),
    outputSchema: advertisedSchema.parse(trim(outputSchema, new Set(OUTPUT_NOISE), OUTPUT_DEPTH)),
    annotations: annotationsOf(effect),
  };
}

function trim(node: unknown, noise: ReadonlySet<string>, depth: number): unknown {
  if (Array.isArray(node)) return node.map((item) => trim(item, noise, depth));
  if (typeof node !== 'object' || node === null) return node;
  if (noise.has('required') && isReference(node))
    return { type: 'object', description: node.description };
  const kept = Object.entries(node).filter(
    ([key, value]) =>
      !noise.has(key) &&
      !(key === 'maximum' && typeof value === 'number' && value >= LARGE) &&
      !(key === 'default' && isEmpty(value)) &&
      !(noise.has('required') && (key === 'anyOf' || key === '$ref')),
  );
  const entries = kept.flatMap(([key, value]): [string, unknown][] => {
    if (key !== 'properties') return [[key, trim(value, noise, depth)]];
    if (depth <= 1) return [];
    return [[key, trimProperties(value, noise, depth - 1)]];
  });
  return Object.fromEntries(entries);
}

/** Names of fields are not keywords. */
function trimProperties(node: unknown, noise: ReadonlySet<string>, depth: number): unknown {
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).map(([name, value]) => [
      name,
      // The same in every result; the server instructions need not say it twenty times.
      trim(value, noise, name === 'next' && depth === OUTPUT_DEPTH - 1 ? 1 : depth),
    ]),
  );
}

const isEmpty = (value: unknown): boolean => ['[]', '{}', 'false'].includes(JSON.stringify(value));
const isReference = (node: object): node is { readonly description: string } =>
  'description' in node &&
  typeof node.description === 'string' &&
  node.description.startsWith(BY_REFERENCE);
