import {
  type AppError,
  type AppErrorOptions,
  ConfigError,
  InputError,
  ProviderError,
} from '../../core/errors.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import { plainOf } from '../answer.ts';
import type { Answer } from '../http.ts';
import { BACKOFF_SECONDS } from './paces.ts';
import { type Envelope, envelopeSchema } from './wire.ts';

export const KEY_NAME = 'VAST_API_KEY';

/** What Vast.ai means by a refusal. Its statuses do not tell: a bad key is often a 404, a refusal sometimes a 200. */
export type Refusal =
  | 'bad_key'
  | 'two_factor'
  | 'scope'
  | 'team_keys'
  | 'no_such_ask'
  | 'no_such_pod'
  | 'no_keys'
  | 'no_credit'
  | 'spend_limit'
  | 'too_frequent'
  | 'too_long'
  | 'bad_bid'
  | 'key_needed'
  | 'own_machine'
  | 'unavailable'
  | 'withdrawn'
  | 'redirect'
  | 'down'
  | 'refused'
  | 'missing'
  | 'bad_request';

export function envelopeOf(body: unknown): Envelope {
  const parsed = envelopeSchema.safeParse(body);
  return parsed.success ? parsed.data : {};
}

/** A 200 may be a refusal too. */
export function isRefusal(body: unknown): boolean {
  return envelopeOf(body).success === false;
}

/** The first that says anything: msg, message, detail, error, the raw text. */
export function wordsOf({ body, text, status }: Answer): string {
  const { msg, message, detail, error } = envelopeOf(body);
  const said = [msg, message, detail, error, body === undefined ? plainOf(text) : undefined];
  return (
    said.find((words) => words !== undefined && words !== null && words.trim() !== '')?.trim() ??
    `HTTP ${status}`
  );
}

const MISSING = new Set(['no_such_instance', 'not_found', 'invalid_id', 'no_such_volume']);
const NOT_THERE = /\b(?:instance|volume)\b.{0,40}(?:not found|does not exist)/i;

/** The order matters: "404" is read only after every reading that has words of its own. */
export function refusalOf(answer: Answer): Refusal {
  const { status } = answer;
  const error = envelopeOf(answer.body).error ?? '';
  const words = `${error} ${wordsOf(answer)}`;
  if (status === 429 || error === 'rate_limit_exceeded' || /requests too frequent/i.test(words))
    return 'too_frequent';
  if (status >= 500) return 'down';
  if (status >= 300 && status < 400) return 'redirect';
  if (/two.?factor|\b2fa\b|session expired/i.test(words)) return 'two_factor';
  if (/permission group|lacks the \w+ permission/i.test(words)) return 'scope';
  if (error === 'team_ssh_keys_not_supported') return 'team_keys';
  if (error === 'deprecated_endpoint') return 'withdrawn';
  if (words.includes('no_such_ask')) return 'no_such_ask';
  if (/hosts can only rent their own/i.test(words)) return 'own_machine';
  if (error === 'spend_rate_limit') return 'spend_limit';
  if (/insufficient.?credit|missing_billing/i.test(words) || status === 411) return 'no_credit';
  if (words.includes('no_ssh_key_for_vm')) return 'key_needed';
  if (words.includes('resources_unavailable')) return 'unavailable';
  if (/invalid_price|set a bid price|bid (?:price )?(?:is )?too low/i.test(words)) return 'bad_bid';
  if (/len\(|label_too_long/.test(words)) return 'too_long';
  if (/no ssh keys? found/i.test(words)) return 'no_keys';
  const isAccess = status === 401 || status === 403 || status === 404;
  if (isAccess && (error === 'auth_error' || /invalid user key|requires login/i.test(words)))
    return 'bad_key';
  if (status === 401) return 'bad_key';
  if (status === 403) return 'refused';
  if (MISSING.has(error) || NOT_THERE.test(words)) return 'no_such_pod';
  if (status === 404 || status === 410) return 'missing';
  return 'bad_request';
}

/** Only names we know ourselves: the rest of the message is not ours. */
const SCOPES = ['misc', 'instance_read', 'instance_write', 'user_read', 'user_write'];
const SCOPE_HINT = `Make a key with the scopes ${SCOPES.join(', ')} in the Vast.ai console, set ${KEY_NAME} and restart.`;

/**
 * The typed error of a refusal: our words, theirs only as quoted text. `isOrder`: a GPU was asked for, so that "it did not work"
 * most often means that somebody else has it.
 */
export function vastFailure(answer: Answer, what: string, isOrder = false): AppError {
  const refusal = refusalOf(answer);
  const options = (hint?: string): AppErrorOptions => ({
    foreignText: quoteForeign(wordsOf(answer), 500),
    ...(hint === undefined ? {} : { hint }),
  });
  switch (refusal) {
    case 'bad_key':
      return new ConfigError(
        'auth_rejected',
        `${what}: Vast.ai does not accept the key in ${KEY_NAME}.`,
        options(`Set ${KEY_NAME} to a living key from the Vast.ai console, then restart.`),
      );
    case 'two_factor':
      return new ConfigError(
        'auth_rejected',
        `${what}: this Vast.ai account asks for two-factor login, which a plain key cannot give.`,
        options('Make an API key after a two-factor login, or ask the owner of the account.'),
      );
    case 'scope': {
      const named = SCOPES.find((scope) => wordsOf(answer).includes(scope));
      const lacks = named === undefined ? 'a scope that this needs' : `the scope ${named}`;
      return new ConfigError(
        'auth_rejected',
        `${what}: the key in ${KEY_NAME} lacks ${lacks}.`,
        options(SCOPE_HINT),
      );
    }
    case 'refused':
      return new ConfigError(
        'auth_rejected',
        `${what}: Vast.ai forbids this to the key in ${KEY_NAME}.`,
        options(SCOPE_HINT),
      );
    case 'team_keys':
      return new InputError(
        'unsupported',
        `${what}: a key of a Vast.ai team cannot change SSH keys.`,
        options('Add the SSH key by hand in the personal account, or use a personal API key.'),
      );
    case 'no_such_ask':
      return new InputError('offer_gone', `${what}: this offer is no longer there.`, options());
    case 'no_such_pod':
    case 'no_keys':
      return new InputError('not_found', `${what}: Vast.ai knows no such thing.`, options());
    case 'missing':
      return new ProviderError(
        'provider_contract',
        `${what}: there is nothing at this address, which says nothing about the pod.`,
        options('Check VAST_URL, or update gpu-lease.'),
      );
    case 'no_credit':
      return new ConfigError(
        'insufficient_credit',
        `${what}: the Vast.ai account has too little credit.`,
        options('Ask the owner of the account to add credit in the Vast.ai console.'),
      );
    case 'spend_limit':
      return new ProviderError(
        'rate_limited',
        `${what}: Vast.ai limits how much a new account may rent at once.`,
        {
          ...options('Wait an hour, destroy another pod, or ask Vast.ai to raise the limit.'),
          retryAfterSeconds: 3600,
        },
      );
    case 'too_frequent':
      return new ProviderError('rate_limited', `${what}: Vast.ai was asked too often.`, {
        ...options(),
        retryAfterSeconds: answer.retryAfterSeconds ?? BACKOFF_SECONDS,
      });
    case 'too_long':
      return new InputError(
        'too_large',
        `${what}: an argument is longer than Vast.ai takes.`,
        options('Shorten setup (16,384 characters in all), image (1,024) or label (256).'),
      );
    case 'bad_bid':
      return new InputError(
        'invalid_input',
        `${what}: Vast.ai does not take this bid.`,
        options('Give a higher bidUsdPerHour: at least minBidUsdPerHour of the offer.'),
      );
    case 'key_needed':
      return new ConfigError(
        'config_missing',
        `${what}: the Vast.ai account has no SSH key, which this machine needs.`,
        options('Call doctor with fix "register_ssh_key", then call again.'),
      );
    case 'own_machine':
      return new InputError(
        'unsupported',
        `${what}: this is a host account, which can only rent its own machines.`,
        options('Use a key of a renting account.'),
      );
    case 'unavailable':
      return new ProviderError(
        'no_capacity',
        `${what}: the GPU is taken by somebody else.`,
        options(),
      );
    case 'withdrawn':
      return new ProviderError(
        'provider_contract',
        `${what}: Vast.ai has withdrawn this endpoint.`,
        options('Update gpu-lease.'),
      );
    case 'redirect':
      return new ProviderError(
        'provider_contract',
        `${what}: Vast.ai answered with a redirect, which was not followed.`,
        options('Check VAST_URL: it must be the address that answers itself.'),
      );
    case 'down':
      return new ProviderError(
        'provider_unavailable',
        `${what}: Vast.ai failed with status ${answer.status}.`,
        { ...options(), ...retryAfter(answer) },
      );
    case 'bad_request':
      return answer.status < 300
        ? new ProviderError(
            isOrder ? 'no_capacity' : 'provider_unavailable',
            `${what}: Vast.ai says that it did not work.`,
            options(),
          )
        : new InputError('invalid_input', `${what}: Vast.ai refused the request.`, options());
  }
}

function retryAfter({ retryAfterSeconds }: Answer): AppErrorOptions {
  return retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
}
