import type { CallOptions, Clock } from '../../core/call.ts';
import { isAppError, PolicyError, ProviderError } from '../../core/errors.ts';
import { poll } from '../../core/poll.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import type { Answer } from '../http.ts';
import type { VastApi } from './api.ts';
import { refusalOf, wordsOf } from './failure.ts';
import { podIdOf } from './ids.ts';
import { type NewVolume, removeNewVolume } from './volumes.ts';

const GONE_SECONDS = 45;
const LOOK_EVERY_SECONDS = 2.5;
const VOLUME_SECONDS = 60;
const VOLUME_EVERY_SECONDS = 10;

export interface RemovalDeps {
  readonly api: VastApi;
  readonly clock: Clock;
}
export interface Failed {
  readonly contract: number;
  readonly answer: Answer;
  /** A new volume that was asked for with it. */
  readonly newVolume: NewVolume | undefined;
}

/**
 * A creation that failed can have made a machine all the same, stopped and charged. It is destroyed, seen gone, and told as
 * `no_capacity`; `outcome_unknown` names it when that could not be proven.
 */
export async function removeFailed(
  { api, clock }: RemovalDeps,
  { contract, answer, newVolume }: Failed,
  options: CallOptions,
): Promise<ProviderError> {
  const podId = podIdOf(contract);
  options.progress?.('The creation failed but left a machine: removing it.');
  const foreignText = quoteForeign(wordsOf(answer), 500);
  const isGone = await isProvenRemoved({ api, clock }, contract, options);
  if (!isGone)
    return new ProviderError(
      'outcome_unknown',
      `The creation failed but left ${podId}, which could not be proven removed.`,
      { foreignText, hint: `Call destroy for ${podId}: it may be charged.` },
    );
  if (newVolume !== undefined) {
    const isFree = await poll(
      async () =>
        (await quietly(removeNewVolume(api, newVolume, options), options)) === true
          ? true
          : undefined,
      { ...options, clock, timeoutSeconds: VOLUME_SECONDS, everySeconds: VOLUME_EVERY_SECONDS },
    );
    if (isFree === undefined)
      return new ProviderError(
        'outcome_unknown',
        `The creation failed and its machine is gone, but its new volume ${newVolume.name} may be left and charged.`,
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
          isRemoved: true,
        },
      );
}

/**
 * Orders the destruction again and again until two looks, apart, say that nothing is there, or the time is over: what was made
 * a moment ago may be missing from one.
 */
async function isProvenRemoved(
  { api, clock }: RemovalDeps,
  contract: number,
  options: CallOptions,
): Promise<boolean> {
  let absences = 0;
  const seen = await poll(
    async () => {
      await quietly(api.destroy(contract, options), options);
      const look = api.show(contract, options).then((row) => ({ row }));
      const told = await quietly(look, options);
      absences = told !== undefined && told.row === undefined ? absences + 1 : 0;
      return absences >= 2 ? true : undefined;
    },
    { ...options, clock, timeoutSeconds: GONE_SECONDS, everySeconds: LOOK_EVERY_SECONDS },
  );
  return seen === true;
}

/**
 * The price can rise between the last look and the order. Answers what the contract says, `undefined` while it says nothing;
 * above the limit the pod is removed again: `price_changed`, or `outcome_unknown` when that could not be proven.
 */
export async function checkContract(
  deps: RemovalDeps,
  { contract, maxUsdPerHour }: { readonly contract: number; readonly maxUsdPerHour: number },
  options: CallOptions,
): Promise<number | undefined> {
  const row = await quietly(deps.api.show(contract, options), options);
  const usdPerHour = row?.dph_total ?? undefined;
  if (usdPerHour === undefined || !isDearer(usdPerHour, maxUsdPerHour)) return usdPerHour;
  options.progress?.('The price rose while it was ordered: removing the pod.');
  const told = `The pod would have cost $${usdPerHour.toFixed(4)} an hour, more than the $${maxUsdPerHour.toFixed(4)} that were agreed.`;
  if (await isProvenRemoved(deps, contract, options))
    throw new PolicyError('price_changed', `${told} It was removed at once.`);
  const podId = podIdOf(contract);
  throw new ProviderError('outcome_unknown', `${told} ${podId} could not be proven removed.`, {
    hint: `Call destroy for ${podId}: it may be charged.`,
  });
}

/** Prices are rounded here and there. */
export function isDearer(usdPerHour: number, maxUsdPerHour: number): boolean {
  return usdPerHour > maxUsdPerHour * 1.001 + 0.000_01;
}

async function quietly<T>(work: Promise<T>, { signal }: CallOptions): Promise<T | undefined> {
  return work.catch((failure: unknown) => {
    signal.throwIfAborted();
    if (isAppError(failure)) return undefined;
    throw failure;
  });
}
