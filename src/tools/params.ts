import { z } from 'zod';
import { InputError } from '../core/errors.ts';
import {
  jobIdSchema,
  type PodId,
  type ProfileId,
  podIdOfProfile,
  podIdSchema,
  profileIdSchema,
  sessionIdSchema,
} from '../core/ids.ts';
import { MAX_WAIT_SECONDS, maxBytesSchema, offsetSchema } from '../core/page.ts';

/* Parameters that several tools share, each with the words a model reads. */

export const podIdParam = podIdSchema.describe('Like "vast:123".');
export const profileIdParam = profileIdSchema.describe('SSH profile, instead of podId.');
export const jobIdParam = jobIdSchema.describe('From job_start.');
export const sessionIdParam = sessionIdSchema.describe('From session_open.');
export const waitParam = z.int().min(0).max(MAX_WAIT_SECONDS);
export const offsetParam = offsetSchema.describe('First byte; use nextOffset.');
export const maxBytesParam = maxBytesSchema;

const NO_NUL = 'Expected text without NUL characters.';
/** Text that may end up in a command on a pod. NUL cannot be said in a shell. */
export const text = (maxChars: number, what = 'text'): z.ZodString =>
  z
    .string()
    .min(1, { error: `Expected ${what} that is not empty.` })
    .max(maxChars, {
      error: `Expected at most ${maxChars} characters. Put long content in a file and use sync_files.`,
    })
    .refine((value) => !value.includes('\0'), { error: NO_NUL });
export const MAX_COMMAND_CHARS = 100_000;
export const pathParam = text(4096, 'a path');
export const names = (maxItems = 100): z.ZodArray<z.ZodString> =>
  z.array(text(1000, 'a name')).max(maxItems);
export const envParam = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, {
    error: 'Expected names of letters, digits and "_".',
  }),
  z
    .string()
    .max(32_000)
    .refine((value) => !value.includes('\0'), { error: NO_NUL }),
);
export const secretEnvParam = z.array(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, {
    error: 'Expected names of variables, never their values.',
  }),
);

interface MachineInput {
  readonly podId?: PodId | undefined;
  readonly profileId?: ProfileId | undefined;
}

/** The one machine that is meant. Throws `invalid_input` unless exactly one of `podId` and `profileId` is there. */
export function machineOf({ podId, profileId }: MachineInput): PodId {
  exactlyOne({ podId, profileId });
  if (podId !== undefined) return podId;
  if (profileId !== undefined) return podIdOfProfile(profileId);
  throw new InputError('invalid_input', 'Give podId or profileId.');
}

/** Throws `invalid_input` that names the arguments unless exactly one of them is there. */
export function exactlyOne(args: Readonly<Record<string, unknown>>): void {
  const all = Object.keys(args);
  const given = all.filter((name) => args[name] !== undefined);
  if (given.length === 1) return;
  const got = given.length === 0 ? 'none' : given.join(' and ');
  throw new InputError('invalid_input', `Give exactly one of ${all.join(', ')}: got ${got}.`);
}
