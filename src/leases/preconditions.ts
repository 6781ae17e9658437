import type { CallOptions, Clock } from '../core/call.ts';
import { type AppError, InputError, isAppError } from '../core/errors.ts';
import { type Hosts, hostIdOf } from '../core/host.ts';
import { providerOf } from '../core/ids.ts';
import type { Terms } from '../core/lease.ts';
import type { Offer } from '../core/offer.ts';
import type { Provider } from '../core/provider.ts';
import { type AccountsDeps, accountsOf } from './accounts.ts';
import { blemishOf } from './hosts.ts';
import { imageNotes, setupNotes } from './plan-notes.ts';
import { given, planOf } from './request.ts';
import { isVolumeOf, parseVolume } from './volumes.ts';
import { imageFor } from './workloads.ts';

export interface PreconditionDeps extends AccountsDeps {
  readonly hosts: Hosts;
  readonly clock: Clock;
}
export interface Preconditions {
  /** Those that nothing forbids, in the order given. At least one. */
  readonly offers: readonly Offer[];
  /** With the image that stands for the workload on these offers. */
  readonly terms: Terms;
  /** What the person should know before agreeing, in our own words. */
  readonly notes: readonly string[];
  /** Something a person should decide, even below the automatic limit. */
  readonly mustAsk: boolean;
}

/**
 * What would go wrong after the money is spent, found before anybody is asked for it: an account that cannot be read or
 * pays for less than 15 minutes, a plan that the cloud would refuse. A candidate with such a fault is left out and noted;
 * when none is left, its error is thrown: `auth_rejected`, `provider_unavailable`, `insufficient_credit`, `unsupported` or
 * what the provider's check throws.
 */
export async function checkPreconditions(
  offers: readonly Offer[],
  wanted: Terms,
  deps: PreconditionDeps,
  options: CallOptions,
): Promise<Preconditions> {
  const terms = withImage(wanted, offers, deps);
  const accounts = await accountsOf(offers, terms, deps, options);
  const passed: Offer[] = [];
  const failures: AppError[] = [];
  const notes: string[] = [];
  for (const offer of offers) {
    const account = accounts.get(offer.provider);
    const cannot = cannotStop(offer, terms, deps);
    const checked =
      cannot ??
      (account === undefined || isAppError(account)
        ? account
        : passed.length >= terms.maxAttempts
          ? []
          : await plan(offer, terms, deps, options));
    if (isAppError(checked)) {
      failures.push(checked);
      notes.push(`${offer.offerId} is left out: ${checked.message}`);
    } else {
      passed.push(offer);
      notes.push(...(checked ?? []).map((note) => prefixed(note, offer, offers)));
    }
  }
  const [first] = failures;
  if (passed.length === 0 && first !== undefined) throw first;
  const used = passed.map(({ provider }) => accounts.get(provider));
  const states = used.flatMap((state) => (state === undefined || isAppError(state) ? [] : state));
  return {
    offers: passed,
    terms,
    notes: [
      ...new Set([
        ...rehearsalNotes(passed, deps),
        ...states.flatMap((state) => state.notes),
        ...imageNotes(terms, passed),
        ...(await hostNotes(passed, deps)),
        ...setupNotes(terms),
        ...notes,
      ]),
    ],
    mustAsk: states.some((state) => state.isShort),
  };
}

/** The provider's own notes on the plan, or why it would not come true. */
async function plan(
  offer: Offer,
  terms: Terms,
  { providers }: PreconditionDeps,
  options: CallOptions,
): Promise<readonly string[] | AppError> {
  const provider = providers.get(providerOf(offer.offerId));
  if (provider === undefined) return [];
  try {
    checkVolume(terms, provider);
    return (await provider.checkPlan?.(offer, planOf(terms), options)) ?? [];
  } catch (failure) {
    options.signal.throwIfAborted();
    if (isAppError(failure)) return failure;
    throw failure;
  }
}

/** A cloud without a stop would destroy at the deadline what was to be kept (TD-09). */
function cannotStop(
  { provider }: Offer,
  { onExpiry }: Terms,
  { providers }: PreconditionDeps,
): AppError | undefined {
  const cloud = providers.get(provider);
  return onExpiry !== 'stop' || cloud === undefined || cloud.power !== undefined
    ? undefined
    : new InputError(
        'unsupported',
        `${provider} cannot stop a pod: at its deadline it would be destroyed with all that is on it.`,
        {
          hint: 'Call again with onExpiry "destroy", a ttlMinutes that leaves time for fetch_artifacts, or an offer of a cloud that can stop pods.',
        },
      );
}

function rehearsalNotes(
  offers: readonly Offer[],
  { providers }: PreconditionDeps,
): readonly string[] {
  return offers.flatMap((offer) =>
    providers.get(offer.provider)?.isMadeUp === true
      ? [
          prefixed(
            `A rehearsal: ${offer.provider} is a sandbox on this machine, no machine or money there is real.`,
            offer,
            offers,
          ),
        ]
      : [],
  );
}

function checkVolume({ volume }: Terms, provider: Provider): void {
  const text = given(volume);
  if (text === undefined) return;
  if (provider.volumes === undefined)
    throw new InputError('unsupported', `${provider.name} has no volumes.`, {
      hint: 'Leave volume out: the disk of the pod is kept until it is destroyed.',
    });
  if (!isVolumeOf(parseVolume(text), provider.name))
    throw new InputError('unsupported', `This volume is not on ${provider.name}.`, {
      hint: 'Choose an offer on the cloud, and the machine, that has the volume.',
    });
}

/** Where the machines bring a system of their own, there is nothing to choose. */
function withImage(terms: Terms, offers: readonly Offer[], { providers }: PreconditionDeps): Terms {
  const rented = offers.filter(
    ({ provider, rehearsal }) =>
      rehearsal !== true && providers.get(provider)?.facts.hasOwnImage !== true,
  );
  const isChosen = [terms.image, terms.template, terms.workloadImage].some(
    (choice) => given(choice) !== undefined,
  );
  const isLeftOpen =
    given(terms.workload) === undefined &&
    rented.every(({ provider }) => providers.get(provider)?.facts.choosesImage === true);
  if (isChosen || isLeftOpen || rented.length === 0) return terms;
  const chosen = imageFor(given(terms.workload), rented);
  if (chosen === undefined)
    throw new InputError('invalid_input', 'There is no such workload.', {
      hint: 'Choose one of pytorch, cuda, transformers, tensorflow, vllm, jax, or give an image.',
    });
  return { ...terms, workloadImage: chosen.image };
}

async function hostNotes(
  offers: readonly Offer[],
  { hosts, clock }: PreconditionDeps,
): Promise<readonly string[]> {
  const book = await hosts.all();
  return offers.flatMap((offer) => {
    const blemish = blemishOf(book.get(hostIdOf(offer) ?? ''), clock.now());
    return blemish === undefined ? [] : [`${offer.offerId}: ${blemish}`];
  });
}

function prefixed(note: string, offer: Offer, offers: readonly Offer[]): string {
  return offers.length === 1 ? note : `${offer.offerId}: ${note}`;
}
