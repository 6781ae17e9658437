import { z } from 'zod';
import type { FaultKind } from '../../src/core/sandbox.ts';
import type { Setting } from '../../src/settings.ts';
import type { Effect, Tool } from '../../src/tools/tool.ts';

const EFFECTS: Readonly<Record<Effect, string>> = {
  read: 'changes nothing',
  write: 'changes files, keys, profiles or sessions',
  spend: 'can cost money; asks first',
  execute: 'runs commands on a pod',
  destroy: 'ends something for good',
};

/** The part of JSON Schema that our tools use. */
interface Field {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly items?: Field;
  readonly anyOf?: readonly Field[];
  readonly additionalProperties?: Field | boolean;
  readonly description?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
}
const fieldSchema: z.ZodType<Field> = z.lazy(() =>
  z.looseObject({
    type: z.union([z.string(), z.array(z.string())]).exactOptional(),
    enum: z.array(z.unknown()).exactOptional(),
    items: fieldSchema.exactOptional(),
    anyOf: z.array(fieldSchema).exactOptional(),
    additionalProperties: z.union([z.boolean(), fieldSchema]).exactOptional(),
    description: z.string().exactOptional(),
    minimum: z.number().exactOptional(),
    exclusiveMinimum: z.number().exactOptional(),
    maximum: z.number().exactOptional(),
  }),
);
const objectSchema = z.looseObject({
  properties: z.record(z.string(), fieldSchema).default({}),
  required: z.array(z.string()).default([]),
});

/** One row a tool, for the README. */
export function toolsTable(tools: readonly Tool[]): string {
  return table(
    ['tool', 'effect', 'what it does'],
    tools.map(({ name, effect, description }) => [
      `[\`${name}\`](docs/tools.md#${name})`,
      effect,
      firstSentence(description),
    ]),
  );
}

/** docs/tools.md: every tool with its parameters and the fields of its result. */
export function toolsPage(tools: readonly Tool[]): string {
  const effects = table(
    ['effect', 'meaning'],
    Object.entries(EFFECTS).map(([effect, meaning]) => [effect, meaning]),
  );
  return [
    '# Tools',
    'Made from the code by `npm run docs`; edit `src/tools`, not this page. A parameter with * is required.',
    'Every result also has `summary` (one sentence) and `next` (at most three suggested calls). An error has `code`,',
    '`message`, `hint` and `retryable`, and text from a machine or a provider only in `foreignText`.',
    '',
    effects,
    ...tools.map(toolSection),
  ]
    .join('\n')
    .replace('# Tools\n', '# Tools\n\n')
    .concat('\n');
}

/** The rows of the README's configuration table. */
export function settingsTable(settings: readonly Setting[]): string {
  return table(
    ['variable', 'flag', 'default', 'meaning'],
    settings.map(({ variable, flag, description, default: value }) => [
      `\`${variable}\``,
      flag === undefined ? '' : `\`${flag}\``,
      value ?? '',
      description,
    ]),
  );
}

/** What the sandbox can be told to do wrong. */
export function faultsTable(faults: readonly FaultKind[]): string {
  return table(
    ['fault', 'what happens'],
    faults.map(({ kind, summary }) => [`\`${kind}\``, summary]),
  );
}

/** Replaces what stands between `<!-- NAME:start -->` and `<!-- NAME:end -->`. Throws when a marker is missing. */
export function replaceBetween(text: string, name: string, body: string): string {
  const [start, end] = [`<!-- ${name}:start -->`, `<!-- ${name}:end -->`];
  const from = text.indexOf(start);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`The markers ${start} and ${end} are missing.`);
  return `${text.slice(0, from + start.length)}\n${body}\n${text.slice(to)}`;
}

function toolSection({ name, description, effect, input, output }: Tool): string {
  const parameters = objectSchema.parse(z.toJSONSchema(input, { io: 'input' }));
  const results = objectSchema.parse(z.toJSONSchema(output));
  const rows = Object.entries(parameters.properties).map(([key, field]) => [
    `\`${key}\`${parameters.required.includes(key) ? ' *' : ''}`,
    typeOf(field),
    field.default === undefined ? '' : `\`${JSON.stringify(field.default)}\``,
    field.description ?? '',
  ]);
  const shown = Object.entries(results.properties)
    .filter(([key]) => key !== 'summary' && key !== 'next')
    .map(
      ([key, field]) => `\`${key}\`${results.required.includes(key) ? '' : '?'} (${typeOf(field)})`,
    );
  return [
    `\n## ${name}\n`,
    `${description}\n`,
    `Effect: ${effect} (${EFFECTS[effect]}).\n`,
    rows.length === 0 ? 'No parameters.' : table(['parameter', 'type', 'default', 'meaning'], rows),
    `\nResult: ${shown.join(', ')}.`,
  ].join('\n');
}

function typeOf(field: Field): string {
  if (field.enum !== undefined) return field.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (field.const !== undefined) return `\`${JSON.stringify(field.const)}\``;
  if (field.anyOf !== undefined) return [...new Set(field.anyOf.map(typeOf))].join(' or ');
  if (field.type === 'array') return `list of ${typeOf(field.items ?? {})}`;
  if (field.type === 'object' && typeof field.additionalProperties === 'object')
    return `names to ${typeOf(field.additionalProperties)}`;
  const limits = [
    field.minimum !== undefined && field.minimum > Number.MIN_SAFE_INTEGER && `≥ ${field.minimum}`,
    field.exclusiveMinimum !== undefined && `> ${field.exclusiveMinimum}`,
    field.maximum !== undefined && field.maximum < Number.MAX_SAFE_INTEGER && `≤ ${field.maximum}`,
  ].filter((limit) => limit !== false);
  return [[field.type ?? 'any'].flat().join(' or '), ...limits].join(' ');
}

function firstSentence(text: string): string {
  return /^[^]*?\.(?=\s|$)/.exec(text)?.[0] ?? text;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
