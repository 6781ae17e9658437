import { randomBytes } from 'node:crypto';
import { z } from 'zod';

export const PROVIDER_NAMES = ['local', 'vast', 'runpod', 'lambda', 'ssh'] as const;
export const providerNameSchema = z.enum(PROVIDER_NAMES);
export type ProviderName = z.output<typeof providerNameSchema>;

const scopedId = (error: string) =>
  z.string().regex(/^(?:local|vast|runpod|lambda|ssh):[A-Za-z0-9._@/-]{1,100}$/, { error });

/** "runpod:abc123": an id names its provider, so routing a call needs no lookup and no memory. */
export const offerIdSchema = scopedId(
  'Expected an offer id from find_offer, like "vast:812".',
).brand<'OfferId'>();
export const podIdSchema = scopedId(
  'Expected a pod id from list_pods, like "runpod:abc".',
).brand<'PodId'>();

const prefixed = (prefix: string, from: string) =>
  z.string().regex(new RegExp(`^${prefix}[a-z0-9]{6,40}$`), {
    error: `Expected an id that starts with "${prefix}", from ${from}.`,
  });
export const sessionIdSchema = prefixed('ses_', 'session_open').brand<'SessionId'>();
export const jobIdSchema = prefixed('job_', 'job_start').brand<'JobId'>();
export const quoteIdSchema = prefixed('quo_', 'create_pod').brand<'QuoteId'>();
export const profileIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, {
    error: 'Expected a profile id: letters, digits, ".", "_" or "-".',
  })
  .brand<'ProfileId'>();

export type OfferId = z.output<typeof offerIdSchema>;
export type PodId = z.output<typeof podIdSchema>;
export type SessionId = z.output<typeof sessionIdSchema>;
export type JobId = z.output<typeof jobIdSchema>;
export type QuoteId = z.output<typeof quoteIdSchema>;
export type ProfileId = z.output<typeof profileIdSchema>;

export function providerOf(id: OfferId | PodId): ProviderName {
  return providerNameSchema.parse(id.slice(0, id.indexOf(':')));
}

/** The part after the provider's name. */
export function localPartOf(id: OfferId | PodId): string {
  return id.slice(id.indexOf(':') + 1);
}

/** A user-managed machine is addressed like a pod of provider `ssh`. */
export function podIdOfProfile(profileId: ProfileId): PodId {
  return podIdSchema.parse(`ssh:${profileId}`);
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
/** `length` random characters of [a-z0-9]: unguessable ids, markers and labels. */
export function randomToken(length = 16): string {
  let token = '';
  while (token.length < length)
    for (const byte of randomBytes(length * 2))
      if (byte < 252 && token.length < length) token += ALPHABET[byte % 36] ?? '';
  return token;
}

export const newSessionId = (): SessionId => sessionIdSchema.parse(`ses_${randomToken()}`);
export const newJobId = (): JobId => jobIdSchema.parse(`job_${randomToken()}`);
export const newQuoteId = (): QuoteId => quoteIdSchema.parse(`quo_${randomToken()}`);
