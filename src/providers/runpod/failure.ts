import { z } from 'zod';
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

export const KEY_NAME = 'RUNPOD_API_KEY';
const BACKOFF_SECONDS = 5;

/** What RunPod means by a refusal. A GraphQL refusal is a 200; the two REST versions use other words for the same. */
export type Refusal =
  | 'bad_key'
  | 'scope'
  | 'blocked'
  | 'withdrawn'
  | 'no_capacity'
  | 'host_full'
  | 'no_credit'
  | 'missing'
  | 'no_storage'
  | 'disk_too_small'
  | 'not_allowed'
  | 'schema'
  | 'too_frequent'
  | 'too_large'
  | 'redirect'
  | 'unexplained'
  | 'down'
  | 'bad_request';

/** The whole interface is gone, not the thing that was asked for: another one may answer. */
export class WithdrawnError extends ProviderError {}

/** It was refused without a reason: something may have been made all the same. */
export class UnexplainedError extends ProviderError {}

const graphqlErrorSchema = z.object({
  message: z.string().catch(''),
  extensions: z
    .object({ code: z.string().nullish().catch(undefined) })
    .nullish()
    .catch(undefined),
});
const envelopeSchema = z.object({
  errors: z
    .array(z.union([graphqlErrorSchema, z.string()]))
    .nullish()
    .catch(undefined),
  detail: z.string().nullish().catch(undefined),
  error: z.string().nullish().catch(undefined),
  message: z.string().nullish().catch(undefined),
  title: z.string().nullish().catch(undefined),
});

interface Said {
  readonly code: string;
  readonly words: string;
  /** It has the shape of an answer of RunPod, as opposed to a page of whoever stands before it. */
  readonly isOurs: boolean;
}

/** v2 `detail` and `errors`, GraphQL `errors`, v1 `error`, `message`, else the text. */
function saidIn({ body, text, status }: Answer): Said {
  const parsed = envelopeSchema.safeParse(body);
  if (!parsed.success) return { code: '', words: plainOf(text) || `HTTP ${status}`, isOurs: false };
  const { errors, detail, error, message } = parsed.data;
  const told = (errors ?? []).map((each) => (typeof each === 'string' ? each : each.message));
  const codes = (errors ?? []).map((each) =>
    typeof each === 'string' ? '' : (each.extensions?.code ?? ''),
  );
  const words = [detail, error, message, ...told].filter((part) => part != null && part !== '');
  return {
    code: codes.find((code) => code !== '') ?? '',
    words: words.join(' ') || `HTTP ${status}`,
    isOurs: words.length > 0,
  };
}

/** A GraphQL answer is a refusal as soon as it has `errors`; a v1 answer was seen with an `error` under a 200. */
export function isRefusal(body: unknown): boolean {
  const parsed = envelopeSchema.safeParse(body);
  if (!parsed.success) return false;
  const { errors, error } = parsed.data;
  return (errors ?? []).length > 0 || (error != null && error !== '');
}

const NO_CAPACITY =
  /no longer any instances|no instances currently available|could not find any pods|does not have the resources|insufficient resources/i;
const CODES: Readonly<Record<string, Refusal>> = {
  SUPPLY_CONSTRAINT: 'no_capacity',
  INSUFFICIENT_BALANCE: 'no_credit',
  POD_NOT_FOUND: 'missing',
  'Cluster not found': 'missing',
};

/** By code first and by words second, since older answers have no code. */
export function refusalOf(answer: Answer): Refusal {
  const { status } = answer;
  const { code, words, isOurs } = saidIn(answer);
  if (status === 429) return 'too_frequent';
  if (status === 413) return 'too_large';
  if (status >= 300 && status < 400) return 'redirect';
  if (
    status === 410 ||
    (status === 404 && (!isOurs || /requested path was not found/i.test(words)))
  )
    return 'withdrawn';
  if (status === 402) return 'no_credit';
  const byCode = CODES[code];
  if (byCode !== undefined) return byCode;
  if (NO_CAPACITY.test(words)) return 'no_capacity';
  if (/not enough free GPUs/i.test(words)) return 'host_full';
  if (/balance is too low|add funds/i.test(words)) return 'no_credit';
  if (status === 401) return 'bad_key';
  if (status === 403) return isOurs ? 'scope' : 'blocked';
  if (/^unauthorized/i.test(words)) return 'scope';
  if (/find data center|storage cluster/i.test(words)) return 'no_storage';
  if (/not enough disk space/i.test(words)) return 'disk_too_small';
  if (/cannot query field|is not defined by type|introspection|unknown argument/i.test(words))
    return 'schema';
  if (status === 404 || /\bnot found\b|nonexistent/i.test(words)) return 'missing';
  if (status === 409) return 'not_allowed';
  if (code === 'INTERNAL_SERVER_ERROR' || /something went wrong/i.test(words))
    return status >= 500 ? 'down' : 'unexplained';
  return status >= 500 ? 'down' : 'bad_request';
}

/** The typed error of a refusal: our words, theirs only as quoted text. */
export function runpodFailure(answer: Answer, what: string): AppError {
  const refusal = refusalOf(answer);
  const told = (text: string, hint?: string): readonly [string, AppErrorOptions] => [
    `${what}: ${text}`,
    {
      foreignText: quoteForeign(saidIn(answer).words, 500),
      ...(hint === undefined ? {} : { hint }),
    },
  ];
  switch (refusal) {
    case 'bad_key':
      return new ConfigError(
        'auth_rejected',
        ...told(
          `RunPod does not accept the key in ${KEY_NAME}.`,
          `Set ${KEY_NAME} to a living key from the RunPod console, then restart.`,
        ),
      );
    case 'scope':
      return new ConfigError(
        'auth_rejected',
        ...told(
          `the key in ${KEY_NAME} lacks the permission for this.`,
          'Make a key with read and write access to the API (GraphQL too) in the RunPod console.',
        ),
      );
    case 'blocked':
      return new ProviderError(
        'provider_unavailable',
        ...told(
          'something in front of RunPod refused the request, which says nothing about the key.',
          'Wait a minute, or try from another network.',
        ),
      );
    case 'withdrawn':
      return new WithdrawnError(
        'provider_contract',
        ...told(
          'RunPod has nothing at this address any more.',
          'Check the RUNPOD_*_URL variables, or update gpu-lease.',
        ),
      );
    case 'no_capacity':
      return new ProviderError('no_capacity', ...told('RunPod has no such GPU free right now.'));
    case 'host_full':
      return new ProviderError(
        'no_capacity',
        ...told(
          'the GPUs of the machine that this pod is bound to are rented by others now. Its disk is kept and charged.',
          'Try again later, or destroy the pod and rent another offer.',
        ),
      );
    case 'no_credit':
      return new ConfigError(
        'insufficient_credit',
        ...told(
          'the RunPod account has too little credit: an hour of the pod must be there.',
          'Ask the owner of the account to add credit in the RunPod console.',
        ),
      );
    case 'missing':
      return new InputError('not_found', ...told('RunPod knows no such thing.'));
    case 'no_storage':
      return new InputError(
        'unsupported',
        ...told(
          'this data center has no storage for volumes.',
          'Choose an offer in another data center, or leave volume out.',
        ),
      );
    case 'disk_too_small':
      return new ProviderError(
        'no_capacity',
        ...told('no machine has a disk of this size free.', 'Ask for a smaller diskGb.'),
      );
    case 'not_allowed':
      return new InputError(
        'unsupported',
        ...told(
          'RunPod does not allow this in the state the pod is in.',
          'Call get_pod, then call again.',
        ),
      );
    case 'schema':
      return new ProviderError(
        'provider_contract',
        ...told('RunPod does not know a field that was sent or asked for.', 'Update gpu-lease.'),
      );
    case 'too_frequent':
      return new ProviderError('rate_limited', `${what}: RunPod was asked too often.`, {
        foreignText: quoteForeign(saidIn(answer).words, 500),
        retryAfterSeconds: answer.retryAfterSeconds ?? BACKOFF_SECONDS,
      });
    case 'too_large':
      return new InputError(
        'too_large',
        ...told(
          'the request is longer than RunPod takes.',
          'Shorten setup and env: 100 KB fit in all.',
        ),
      );
    case 'redirect':
      return new ProviderError(
        'provider_contract',
        ...told(
          'RunPod answered with a redirect, which was not followed.',
          'Check the RUNPOD_*_URL variables: each must be the address that answers itself.',
        ),
      );
    case 'unexplained':
      return new UnexplainedError(
        'no_capacity',
        ...told(
          'RunPod could not do it and gave no reason. It often means that the combination is not sold.',
        ),
      );
    case 'down':
      return new ProviderError(
        'provider_unavailable',
        `${what}: RunPod failed with status ${answer.status}.`,
        {
          foreignText: quoteForeign(saidIn(answer).words, 500),
          ...(answer.retryAfterSeconds === undefined
            ? {}
            : { retryAfterSeconds: answer.retryAfterSeconds }),
        },
      );
    case 'bad_request':
      return new InputError('invalid_input', ...told('RunPod refused the request.'));
  }
}
