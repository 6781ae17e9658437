import type { CallOptions, Clock } from '../../core/call.ts';
import { isAppError, ProviderError } from '../../core/errors.ts';
import { poll } from '../../core/poll.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import type { Answer } from '../http.ts';
import type { VastApi } from './api.ts';
import { refusalOf, wordsOf } from './failure.ts';
import { podIdOf } from './ids.ts';
import { removeNewVolume } from './volumes.ts';

const GONE_SECONDS = 45;
const LOOK_EVERY_SECONDS = 2.5;
const VOLUME_SECONDS = 60;
const VOLUME_EVERY_SECONDS = 10;

export interface Failed {
  readonly contract: number;
  readonly answer: Answer;
  /** A new volume that was asked for with it. */
  readonly volumeName: string | undefined;
}

/**
 * A creation that failed can have made a machine all the same, stopped and charged. It is destroyed, seen gone, and told as
 * `no_capacity`; `outcome_unknown` names it when that could not be proven.
 */
export async function removeFailed(
  { api, clock }: { readonly api: VastApi; readonly clock: Clock },
  { contract, answer, volumeName }: Failed,
  options: CallOptions,
): Promise<ProviderError> {
  const podId = podIdOf(contract);
  options.progress?.('The creation failed but left a machine: removing it.');
  const foreignText = quoteForeign(wordsOf(answer), 500);
  const quietly = async <T>(work: Promise<T>): Promise<T | undefined> =>
    work.catch((failure: unknown) => {
      options.signal.throwIfAborted();
      if (isAppError(failure)) return undefined;
      throw failure;
    });
  const seen = await poll(
    async () => {
      await quietly(api.destroy(contract, options));
      const row = await quietly(api.show(contract, options).then((found) => ({ found })));
      return row !== undefined && row.found === undefined ? true : undefined;
    },
    { ...options, clock, timeoutSeconds: GONE_SECONDS, everySeconds: LOOK_EVERY_SECONDS },
  );
  if (seen === undefined)
    return new ProviderError(
      'outcome_unknown',
      `The creation failed but left ${podId}, which could not be proven removed.`,
      { foreignText, hint: `Call destroy for ${podId}: it may be charged.` },
    );
  if (volumeName !== undefined) {
    const isFree = await poll(
      async () =>
        (await quietly(removeNewVolume(api, volumeName, options))) === true ? true : undefined,
      { ...options, clock, timeoutSeconds: VOLUME_SECONDS, everySeconds: VOLUME_EVERY_SECONDS },
    );
    if (isFree === undefined)
      return new ProviderError(
        'outcome_unknown',
        `The creation failed and its machine is gone, but its new volume ${volumeName} may be left and charged.`,
        { foreignText, hint: 'Call list_pods for the volumes, and remove it with destroy.' },
      );
  }
  return refusalOf(answer) === 'bad_bid'
    ? new ProviderError(
        'no_capacity',
        'Vast.ai took the bid for too low. What it made is removed.',
        {
          foreignText,
          hint: 'Give a higher bidUsdPerHour, or choose another offer.',
        },
      )
    : new ProviderError(
        'no_capacity',
        'Vast.ai could not start the pod. What it made is removed.',
        {
          foreignText,
        },
      );
}
