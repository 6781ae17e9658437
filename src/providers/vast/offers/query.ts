import { adviceOn, fieldOf, type VastField } from './fields.ts';
import {
  bothConditions,
  type Conditions,
  type Operator,
  type Scalar,
  type VastFilter,
} from './filter.ts';
import { VastQueryError } from './query-error.ts';
import { type Comparison, scanQuery } from './scan.ts';

const ANY = new Set(['any', '?', '*']);
const RANGES: ReadonlySet<Operator> = new Set(['gt', 'gte', 'lt', 'lte']);
const LISTS: ReadonlySet<Operator> = new Set(['in', 'notin']);
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/**
 * Reads the query language of the official tool: `gpu_ram>=24 geolocation in [US,CA] verified=any`. Numbers become numbers and
 * units those of the API (GB to MB by 1000, days to seconds). Stricter than the tool where it would drop a filter in silence:
 * an unknown field, a value of the wrong kind, two values for one field. Throws VastQueryError (`invalid_input`, with a position).
 */
export function parseVastQuery(text: string): VastFilter {
  const conditions = new Map<string, Conditions>();
  const lifted = new Set<string>();
  for (const comparison of scanQuery(text)) {
    const known = fieldOf(comparison.field);
    if (known === undefined) throw unknownField(comparison);
    const { name, field } = known;
    if (ANY.has(trimmed(comparison.value))) {
      if (comparison.operator !== 'eq')
        throw new VastQueryError(comparison.valueAt, 'any value is only asked for with "=".');
      conditions.delete(name);
      lifted.add(name);
      continue;
    }
    const both = bothConditions(conditions.get(name) ?? {}, {
      [comparison.operator]: valueOf(comparison, field),
    });
    if (both === undefined)
      throw new VastQueryError(
        comparison.fieldAt,
        `${name} cannot have two values at once. Use ${name} in [..] for either.`,
      );
    conditions.set(name, both);
  }
  return { conditions, lifted };
}

function unknownField({ field, fieldAt }: Comparison): VastQueryError {
  const name = field.slice(0, 40);
  return new VastQueryError(fieldAt, `there is no field ${name}. ${adviceOn(name)}`);
}

function valueOf(comparison: Comparison, field: VastField): Scalar | readonly Scalar[] {
  const { operator, value, valueAt } = comparison;
  const plain = trimmed(value);
  const words = LISTS.has(operator) ? plain.split(',') : [plain];
  const values = words
    .map((word) => textOf(word))
    .filter((word) => word !== '')
    .map((word) => scalarOf(word, comparison, field));
  const [first] = values;
  if (first === undefined) throw new VastQueryError(valueAt, 'the value is empty.');
  return LISTS.has(operator) ? values : first;
}

/** Commas and brackets at the ends do not count. */
function trimmed(value: string): string {
  return value.replace(/^[,[\]]+|[,[\]]+$/g, '');
}

/** Quotes fall away and every underscore is a space, also inside quotes: so does the tool. */
function textOf(word: string): string {
  return word
    .trim()
    .replaceAll('_', ' ')
    .replace(/^"+|"+$/g, '')
    .trim();
}

function scalarOf(
  word: string,
  { operator, valueAt }: Comparison,
  { kind, factor }: VastField,
): Scalar {
  const isRange = RANGES.has(operator);
  if (!isRange && (word === 'null' || word === 'None')) return null;
  const truth = /^(?:true|false)$/i.test(word) ? word.toLowerCase() === 'true' : undefined;
  switch (kind) {
    case 'boolean':
      if (truth === undefined || isRange)
        throw new VastQueryError(valueAt, 'true, false or any was expected, with "=" or "!=".');
      return truth;
    case 'flag':
      if (truth !== undefined) return truth;
      return numberOf(word, valueAt);
    case 'number':
      return inUnits(numberOf(word, valueAt), factor);
    case 'version':
      return versionOf(word, isRange, valueAt);
    case 'text':
      return word;
  }
}

function numberOf(word: string, at: number): number {
  const value = NUMBER.test(word) ? Number(word) : Number.NaN;
  if (!Number.isFinite(value)) throw new VastQueryError(at, 'a number was expected.');
  return value;
}

/** Rounded, so that 0.1 GB is 100 MB and not a hair more. */
function inUnits(value: number, factor: number): number {
  return factor === 1 ? value : Math.round(value * factor * 1e6) / 1e6;
}

/** "535.86.05" is 535086005: major, then three digits each. A part that is not said is 0, which only a range may mean. */
function versionOf(word: string, isRange: boolean, at: number): number {
  if (/^\d{7,12}$/.test(word)) return Number(word);
  const parts = /^(\d{1,4})(?:\.(\d{1,3}))?(?:\.(\d{1,3}))?$/.exec(word);
  if (parts === null || (parts[3] === undefined && !isRange))
    throw new VastQueryError(at, 'a driver version was expected, like 535.86.05.');
  return Number(parts[1]) * 1e6 + Number(parts[2] ?? 0) * 1e3 + Number(parts[3] ?? 0);
}
