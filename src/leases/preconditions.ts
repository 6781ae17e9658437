import type { CallOptions, Clock } from '../core/call.ts';
import {
  type AppError,
  ConfigError,
  InputError,
  isAppError,
  ProviderError,
} from '../core/errors.ts';
import { type Hosts, hostIdOf } from '../core/host.ts';
import { type ProviderName, providerOf } from '../core/ids.ts';
import type { Terms } from '../core/lease.ts';
import type { Offer } from '../core/offer.ts';
import type { AccountCheck, Provider, Providers } from '../core/provider.ts';
import type { Store } from '../core/store.ts';
import { withinSeconds } from './deps.ts';
import { blemishOf } from './hosts.ts';
import { bindingMinutes, rateOf, usd } from './money.ts';
import { priceOf } from './quotes.ts';
import { given, planOf } from './request.ts';
import { isVolumeOf, parseVolume } from './volumes.ts';
import { imageByName, imageFor, troubleWith } from './workloads.ts';

const ACCOUNT_LIMIT_SECONDS = 20;
const LEAST_MINUTES = 15;

export interface PreconditionDeps {
  readonly providers: Providers;
  readonly store: Store;
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
  const terms = withImage(wanted, offers);
  const accounts = await accountsOf(offers, terms, deps, options);
  const passed: Offer[] = [];
  const failures: AppError[] = [];
  const notes: string[] = [];
  for (const offer of offers) {
    const account = accounts.get(offer.provider);
    const checked =
      account === undefined || isAppError(account)
        ? account
        : passed.length >= terms.maxAttempts
          ? []
          : await plan(offer, terms, deps, options);
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

interface AccountState {
  readonly notes: readonly string[];
  /** The credit ends before the run does. */
  readonly isShort: boolean;
}

async function accountsOf(
  offers: readonly Offer[],
  terms: Terms,
  deps: PreconditionDeps,
  options: CallOptions,
): Promise<ReadonlyMap<ProviderName, AccountState | AppError>> {
  const names = [...new Set(offers.map(({ provider }) => provider))];
  const states = await Promise.all(
    names.map(async (name) => {
      const own = offers.filter(({ provider }) => provider === name);
      const usdPerHour = Math.max(...own.map((offer) => priceOf(offer, terms)));
      return [name, await accountOf(name, usdPerHour, terms, deps, options)] as const;
    }),
  );
  return new Map(states);
}

async function accountOf(
  name: ProviderName,
  usdPerHour: number,
  terms: Terms,
  { providers, store, clock }: PreconditionDeps,
  { signal }: CallOptions,
): Promise<AccountState | AppError> {
  const provider = providers.get(name);
  if (provider === undefined) return { notes: [], isShort: false };
  let account: AccountCheck;
  try {
    account = await withinSeconds(ACCOUNT_LIMIT_SECONDS, clock, async (limit) =>
      provider.checkAccount({ signal: AbortSignal.any([signal, limit]) }),
    );
  } catch (failure) {
    signal.throwIfAborted();
    return isAppError(failure)
      ? failure
      : new ProviderError('provider_unavailable', `The account of ${name} cannot be read.`, {
          cause: failure,
        });
  }
  if (!account.reachable)
    return new ProviderError(
      'provider_unavailable',
      account.problem ?? `The account of ${name} cannot be read.`,
    );
  const keyNote =
    account.sshKeyRegistered === false && provider.keys !== undefined
      ? [`Our public SSH key is not on the ${name} account yet: it is added before the order.`]
      : [];
  const { balanceUsd } = account;
  if (balanceUsd === undefined || usdPerHour === 0) return { notes: keyNote, isShort: false };
  const running = (await store.leases.list())
    .filter((lease) => lease.provider === name)
    .reduce((sum, lease) => sum + rateOf(lease), 0);
  const minutes = (Math.max(0, balanceUsd) / (usdPerHour + running)) * 60;
  if (minutes < LEAST_MINUTES)
    return new ConfigError(
      'insufficient_credit',
      `The balance on ${name} is ${usd(balanceUsd)}: at ${usd(usdPerHour + running)} an hour${running > 0 ? ' with the pods that run' : ''} it ends after ${Math.floor(minutes)} minutes.`,
    );
  const needed = Math.max(
    bindingMinutes(terms, usdPerHour),
    terms.expectedHours === undefined ? 0 : terms.expectedHours * 60,
  );
  if (minutes >= needed) return { notes: keyNote, isShort: false };
  const lasts = `The balance on ${name}, ${usd(balanceUsd)}, lasts ${hoursOf(minutes)} at this price, not the whole time: when it is used up the cloud stops the pod and may delete its disk.`;
  return { notes: [...keyNote, lasts], isShort: true };
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

function withImage(terms: Terms, offers: readonly Offer[]): Terms {
  const rented = offers.filter(({ rehearsal }) => rehearsal !== true);
  const isChosen = [terms.image, terms.template, terms.workloadImage].some(
    (choice) => given(choice) !== undefined,
  );
  if (isChosen || rented.length === 0) return terms;
  const chosen = imageFor(given(terms.workload), rented);
  if (chosen === undefined)
    throw new InputError('invalid_input', 'There is no such workload.', {
      hint: 'Choose one of pytorch, cuda, transformers, tensorflow, vllm, jax, or give an image.',
    });
  return { ...terms, workloadImage: chosen.image };
}

/** States the image (CR-06), and which offers will not run it. */
function imageNotes(terms: Terms, offers: readonly Offer[]): readonly string[] {
  if (given(terms.template) !== undefined) return [];
  const image = given(terms.image) ?? given(terms.workloadImage);
  if (image === undefined) return [];
  const known = imageByName(image, given(terms.workload));
  const stated = given(terms.image) === undefined ? [`The image is ${image}.`] : [];
  if (known === undefined) return stated;
  return [
    ...stated,
    ...(known.note === undefined ? [] : [known.note]),
    ...offers.flatMap((offer) => {
      const trouble = offer.rehearsal === true ? undefined : troubleWith(known, offer);
      return trouble === undefined ? [] : [`${offer.offerId}: ${trouble}.`];
    }),
  ];
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

const MAIN_JOB =
  /\b(?:torchrun|deepspeed|accelerate\s+launch|nohup)\b|\bpython3?\s+(?:-u\s+)?\S*(?:train|finetune|fine_tune|pretrain|main)\S*\.py\b|\bvllm\s+serve\b|--(?:num_)?(?:train_)?epochs\b/i;

function setupNotes({ setup = '', env }: Terms): readonly string[] {
  const empty = Object.keys(env).filter((name) => env[name] === '');
  return [
    ...(MAIN_JOB.test(setup)
      ? [
          'setup looks like the main job. It runs again at every start and its output is not kept: start long work with job_start (CR-09).',
        ]
      : []),
    ...(empty.length > 0 ? [`Empty variables are not sent: ${empty.join(', ')}.`] : []),
  ];
}

function prefixed(note: string, offer: Offer, offers: readonly Offer[]): string {
  return offers.length === 1 ? note : `${offer.offerId}: ${note}`;
}

function hoursOf(minutes: number): string {
  return minutes < 90 ? `${Math.floor(minutes)} minutes` : `${(minutes / 60).toFixed(1)} hours`;
}
