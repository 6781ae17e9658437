import type { z } from 'zod';
import type { FakeAnswer } from '../../http.ts';
import type { Refusal } from '../refusal.ts';
import { type RefusalKind } from '../refusal.ts';
import type { Call } from '../router.ts';

export const ok = (body: unknown, status = 200): FakeAnswer => ({ status, body });

/** Thrown for a body that the contract does not allow. */
export class BadBody extends Error {}

/** The body as the contract has it. Throws `BadBody`. */
export function bodyOf<T>({ request }: Call, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(request.rawBody.trim() === '' ? {} : request.body);
  if (parsed.success) return parsed.data;
  throw new BadBody(parsed.error.issues.map(({ message }) => message).join('; '));
}

const STATUS: Readonly<Partial<Record<RefusalKind, number>>> = {
  'not-found': 404,
  gone: 404,
  invalid: 400,
  contract: 400,
  scope: 403,
  conflict: 400,
};
/** Capacity and the user's own mistakes are 500 here as well; `work` is the prefix: "create pod". */
export function wordRefusal({ kind, message }: Refusal, work: string): FakeAnswer {
  const status = STATUS[kind] ?? 500;
  const error = status === 500 ? `${work}: ${message}` : message;
  return { status, body: { error, status } };
}
