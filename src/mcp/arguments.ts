import type { z } from 'zod';
import { InputError } from '../core/errors.ts';
import type { Tool } from '../tools/tool.ts';

const MOST_ISSUES = 5;

/**
 * The arguments as the tool wants them. Some clients send `null` for what they leave out, so a top-level `null` counts
 * as absent. Throws `invalid_input` (`too_large` for text that is too long) that names each wrong argument, what was expected and what was got.
 */
export function readArguments(tool: Tool, given: unknown): Record<string, unknown> {
  const args = withoutNulls(given ?? {});
  const parsed = tool.input.safeParse(args);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const said = issues.slice(0, MOST_ISSUES).map((issue) => wordsOf(issue, args, tool));
  const more = issues.length > MOST_ISSUES ? [`${issues.length - MOST_ISSUES} more.`] : [];
  const tooLong = issues.some((issue) => issue.code === 'too_big' && issue.origin === 'string');
  throw new InputError(
    tooLong ? 'too_large' : 'invalid_input',
    `${tool.name}: ${[...said, ...more].join(' ')}`,
  );
}

function withoutNulls(given: unknown): unknown {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return given;
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
}

function wordsOf(issue: z.core.$ZodIssue, args: unknown, tool: Tool): string {
  if (issue.code === 'unrecognized_keys') {
    const unknown = issue.keys.slice(0, MOST_ISSUES).map(quoted).join(', ');
    return `Unknown argument ${unknown}; there are ${Object.keys(tool.input.shape).join(', ')}.`;
  }
  if (issue.path.length === 0) return `Expected an object of arguments, got ${kindOf(args)}.`;
  const got = valueAt(args, issue.path);
  const name = `Argument ${quoted(issue.path.map(String).join('.'))}`;
  if (got === undefined && issue.code === 'invalid_type')
    return `${name} is missing: ${expected(issue)}.`;
  return `${name}: ${expected(issue)}, got ${shown(got)}.`;
}

function expected(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${issue.expected === 'int' ? 'a whole number' : issue.expected}`;
    case 'invalid_value':
      return `expected one of ${issue.values.map((value) => quoted(String(value))).join(', ')}`;
    case 'too_small':
      return issue.message.startsWith('Expected')
        ? own(issue.message)
        : `expected ${size(issue.origin)}${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`;
    case 'too_big':
      return issue.message.startsWith('Expected')
        ? own(issue.message)
        : `expected ${size(issue.origin)}${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}`;
    case 'invalid_key': {
      const [first] = issue.issues;
      return first === undefined ? 'expected another name' : own(first.message);
    }
    case 'invalid_format':
    case 'not_multiple_of':
    case 'unrecognized_keys':
    case 'invalid_union':
    case 'invalid_element':
    case 'custom':
      return own(issue.message);
  }
}

/** Our own error texts are whole sentences; here they stand inside one. */
const own = (message: string): string =>
  `${message.charAt(0).toLowerCase()}${message.slice(1).replace(/\.$/, '')}`;
const size = (origin: string): string =>
  origin === 'string' ? 'a length of ' : origin === 'array' ? 'a number of items of ' : '';

function valueAt(args: unknown, path: readonly PropertyKey[]): unknown {
  let value = args;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Object.entries(value).find(([name]) => name === String(key))?.[1];
  }
  return value;
}

/** Numbers and short words as they came; of longer things only the kind, since a value may be a secret. */
function shown(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') {
    if (value === '') return 'an empty string';
    return value.length <= 60 ? quoted(value) : `a string of ${value.length} characters`;
  }
  return kindOf(value);
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

const quoted = (word: string): string => JSON.stringify(word.slice(0, 100));
