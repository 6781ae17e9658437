import type { z } from 'zod';
import type { FakeAnswer } from '../../http.ts';
import { problem } from '../problem.ts';
import type { Refusal } from '../refusal.ts';
import { type RefusalKind } from '../refusal.ts';
import type { Call } from '../router.ts';
import { complaints } from './contract.ts';

const STATUS: Readonly<Record<RefusalKind, number>> = {
  'no-capacity': 400,
  'host-full': 400,
  unfit: 400,
  balance: 402,
  'not-found': 404,
  gone: 404,
  scope: 403,
  invalid: 400,
  conflict: 409,
  contract: 422,
  internal: 500,
};
export const wordRefusal = ({ kind, message }: Refusal): FakeAnswer =>
  kind === 'internal'
    ? problem(500, 'failed to create pod')
    : kind === 'gone'
      ? problem(404, 'pod not found')
      : problem(STATUS[kind], message, kind === 'contract' ? [`$: ${message}`] : undefined);

export const ok = (body: unknown, status = 200): FakeAnswer => ({ status, body });
export const NO_CONTENT: FakeAnswer = { status: 204 };

/** Thrown for a body or a query that the contract does not allow. */
export class ContractBreach extends Error {
  readonly complaints: readonly string[];
  constructor(found: readonly string[]) {
    super('Request validation failed.');
    this.complaints = found;
  }
}
export const wordBreach = (breach: ContractBreach): FakeAnswer =>
  problem(422, breach.message, breach.complaints);

/** The body as the contract has it. Throws `ContractBreach`. */
export function bodyOf<T>({ request }: Call, schema: z.ZodType<T>): T {
  if (request.rawBody.trim() === '') throw new ContractBreach(['$: value is required']);
  const parsed = schema.safeParse(request.body);
  if (parsed.success) return parsed.data;
  throw new ContractBreach(
    request.body === undefined ? ['$: invalid JSON'] : complaints(parsed.error),
  );
}

/** A parameter of the query; lists are joined with commas, never repeated. Throws `ContractBreach`. */
export function queryOf({ request }: Call, name: string): string | undefined {
  const values = request.query.getAll(name);
  if (values.length > 1)
    throw new ContractBreach([
      `parameter '${name}' is not exploded, but is specified multiple times`,
    ]);
  return values[0];
}
/** The same as one of some words. */
export function oneOf<T extends string>(
  call: Call,
  name: string,
  words: readonly T[],
): T | undefined {
  const value = queryOf(call, name);
  if (value === undefined) return undefined;
  const found = words.find((word) => word === value);
  if (found === undefined)
    throw new ContractBreach([
      `parameter '${name}': value must be one of ${words.map((word) => `'${word}'`).join(', ')}`,
    ]);
  return found;
}
/** The same as a list of some words. */
export function someOf(call: Call, name: string, fits: RegExp): readonly string[] {
  const values = queryOf(call, name)?.split(',') ?? [];
  if (values.every((value) => fits.test(value))) return values;
  throw new ContractBreach([`parameter '${name}': does not match pattern '${fits.source}'`]);
}
/** The same as a whole number. */
export function wholeOf(
  call: Call,
  name: string,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  const value = queryOf(call, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (value === '' || !Number.isInteger(number) || number < min || number > max)
    throw new ContractBreach([`parameter '${name}': must be an integer from ${min} to ${max}`]);
  return number;
}

/** One page of `rows`, newest first, and where the next one begins. */
export function paged(call: Call, name: string, rows: readonly unknown[]): FakeAnswer {
  if (!call.world.options.pages) return ok({ [name]: rows });
  const limit = wholeOf(call, 'limit', { min: 1, max: 1_000 }) ?? 1_000;
  const start = Number(Buffer.from(queryOf(call, 'cursor') ?? '', 'base64url').toString() || '0');
  if (!Number.isInteger(start) || start < 0)
    throw new ContractBreach(["parameter 'cursor': is not a cursor"]);
  const next = start + limit;
  const hasNextPage = next < rows.length;
  return ok({
    [name]: rows.slice(start, next),
    pagination: {
      nextCursor: hasNextPage ? Buffer.from(String(next)).toString('base64url') : null,
      hasNextPage,
    },
  });
}
