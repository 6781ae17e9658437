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
import { errorSchema } from './wire.ts';

export const KEY_NAME = 'LAMBDA_API_KEY';

/** What a refusal is called. Statuses do not tell: no capacity is a 400, and a failure inside may be a 409. */
export function codeOf({ body }: Pick<Answer, 'body'>): string | undefined {
  const parsed = errorSchema.safeParse(body);
  return parsed.success ? parsed.data.error.code : undefined;
}

function wordsOf({ body, text, status }: Answer): string {
  const parsed = errorSchema.safeParse(body);
  const error = parsed.success ? parsed.data.error : undefined;
  const said = [error?.message, error?.suggestion].filter((part) => part != null && part !== '');
  if (said.length > 0) return said.join(' ');
  const plain = body === undefined ? plainOf(text).trim() : '';
  return plain === '' ? `HTTP ${status}` : plain;
}

/** Whether the cloud may have done what was asked although it says that it failed. */
export function mayHaveDone(answer: Answer): boolean {
  const code = codeOf(answer) ?? '';
  return answer.status >= 500 || code === 'global/internal-error' || code.startsWith('provider/');
}

type Wording = (what: string, options: (hint?: string) => AppErrorOptions) => AppError;
const rejected =
  (told: string, hint: string): Wording =>
  (what, options) =>
    new ConfigError('auth_rejected', `${what}: ${told}`, options(hint));
const BY_CODE: ReadonlyMap<string, Wording> = new Map<string, Wording>([
  [
    'global/invalid-api-key',
    rejected(
      `Lambda does not accept the key in ${KEY_NAME}.`,
      `Set ${KEY_NAME} to a living key from the Lambda Cloud console, then restart.`,
    ),
  ],
  [
    'global/account-inactive',
    rejected(
      'the Lambda account is not active.',
      'The owner of the account must confirm the e-mail address and give a payment method in the Lambda Cloud console.',
    ),
  ],
  [
    'global/invalid-address',
    rejected(
      'the Lambda account has no valid billing address.',
      'The owner of the account must correct the billing address in the Lambda Cloud console.',
    ),
  ],
  [
    'global/forbidden',
    rejected(
      `Lambda forbids this to the key in ${KEY_NAME}.`,
      'Use a key of the account that owns it.',
    ),
  ],
  [
    'global/object-does-not-exist',
    (what, options) =>
      new InputError('not_found', `${what}: Lambda knows no such thing.`, options()),
  ],
  [
    'global/quota-exceeded',
    (what, options) =>
      new InputError(
        'unsupported',
        `${what}: the quota of the Lambda account does not allow another.`,
        options('Destroy another pod, or ask Lambda support to raise the quota.'),
      ),
  ],
  [
    'global/duplicate',
    (what, options) => new InputError('invalid_input', `${what}: the name is taken.`, options()),
  ],
  [
    'global/conflict',
    (what, options) =>
      new ProviderError(
        'provider_unavailable',
        `${what}: Lambda is doing something else with this machine.`,
        { ...options('Wait, then call again.'), retryAfterSeconds: BACKOFF_SECONDS },
      ),
  ],
  [
    'instance-operations/launch/insufficient-capacity',
    (what, options) =>
      new ProviderError(
        'no_capacity',
        `${what}: Lambda has no machine of this type free in this region now.`,
        options(
          'Call find_offer and choose another region or type: what it lists is what was free a moment ago. Some types are never free for some accounts.',
        ),
      ),
  ],
  [
    'instance-operations/launch/file-system-in-wrong-region',
    (what, options) =>
      new InputError(
        'unsupported',
        `${what}: the file system lies in another region.`,
        options('Choose an offer in the region of the file system: it cannot be moved.'),
      ),
  ],
  [
    'filesystems/filesystem-in-use',
    (what, options) =>
      new InputError(
        'unsupported',
        `${what}: the file system is attached to a pod.`,
        options('Destroy that pod first.'),
      ),
  ],
]);

/** The typed error of a refusal: our words, theirs only as quoted text. */
export function lambdaFailure(answer: Answer, what: string): AppError {
  const { status } = answer;
  const code = codeOf(answer);
  const options = (hint?: string): AppErrorOptions => ({
    foreignText: quoteForeign(wordsOf(answer), 500),
    ...(hint === undefined ? {} : { hint }),
  });
  if (status === 429)
    return new ProviderError('rate_limited', `${what}: Lambda was asked too often.`, {
      ...options(),
      retryAfterSeconds: answer.retryAfterSeconds ?? BACKOFF_SECONDS,
    });
  const known = code === undefined ? undefined : BY_CODE.get(code);
  if (known !== undefined) return known(what, options);
  if (mayHaveDone(answer))
    return new ProviderError(
      'provider_unavailable',
      `${what}: Lambda failed with status ${status}.`,
      {
        ...options(),
        ...(answer.retryAfterSeconds === undefined
          ? {}
          : { retryAfterSeconds: answer.retryAfterSeconds }),
      },
    );
  if (status === 401 || status === 403)
    return rejected(
      `Lambda refuses the key in ${KEY_NAME}.`,
      `Set ${KEY_NAME} to a living key from the Lambda Cloud console, then restart.`,
    )(what, options);
  if (status < 400 || status === 404 || status === 405 || status === 410)
    return new ProviderError(
      'provider_contract',
      `${what}: there is nothing at this address, which says nothing about the pod.`,
      options('Check LAMBDA_API_URL, or update gpu-lease.'),
    );
  return new InputError('invalid_input', `${what}: Lambda refused the request.`, options());
}
