import {
  type AppError,
  type AppErrorOptions,
  ConfigError,
  InputError,
  ProviderError,
} from '../../core/errors.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import type { Answer } from '../http.ts';
import { refusalOf, saidIn } from './refusal.ts';

export const KEY_NAME = 'RUNPOD_API_KEY';
const BACKOFF_SECONDS = 5;

/** The whole interface is gone, not the thing that was asked for: another one may answer. */
export class WithdrawnError extends ProviderError {}

/** RunPod itself, not somebody before it, says that it failed: something may have been made all the same. */
export class FailedError extends ProviderError {}
/** It was refused without a reason: something may have been made all the same. */
export class UnexplainedError extends ProviderError {}

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
      return new (saidIn(answer).isOurs ? FailedError : ProviderError)(
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
