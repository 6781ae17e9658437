import type { CallOptions, Clock } from '../core/call.ts';
import { PolicyError, ProviderError } from '../core/errors.ts';
import type { Attempt, Lease, Quote } from '../core/lease.ts';
import type { Secrets, SshIdentity } from '../core/machine.ts';
import type { Offer } from '../core/offer.ts';
import type { Ask, CreateOutcome, Pod, Pods } from '../core/pods.ts';
import { untilAborted } from './deps.ts';
import { createHosts } from './hosts.ts';
import { handleOf } from './ledger.ts';
import { checkLimits } from './limits.ts';
import { bindingMinutes, usd } from './money.ts';
import { type OrderDeps, type Ordered, orderPod } from './order.ts';
import { checkPreconditions } from './preconditions.ts';
import { freshOffers, keepQuote, priceOf, quoteFor, validQuote } from './quotes.ts';
import { type Approval, intend, leaseFor, type Rent, readableLeases } from './rent.ts';
import { ensureKey, suppliesFor } from './supplies.ts';
import { checkTerms } from './terms.ts';

const CLEANUP_SECONDS = 60;

export interface CreateDeps extends OrderDeps, Rent {
  readonly identity: SshIdentity;
  readonly secrets: Secrets;
  readonly clock: Clock;
  /** Leases whose pod this process is creating now. */
  readonly creating: Set<string>;
  /** Waits until the pod is ready or has failed, at most so long. */
  readonly waitReady: (
    lease: Lease,
    waitSeconds: number,
    options: CallOptions,
  ) => Promise<{ readonly lease: Lease; readonly pod: Pod }>;
}

interface Approved {
  readonly quote: Quote;
  readonly approvedBy: Approval;
  /** As they are sold now, in the order of the quote. */
  readonly offers: readonly Offer[];
}

export function createCreation(deps: CreateDeps): Pods['create'] {
  const { clock, store, limits, providers, secrets } = deps;
  const checks = { providers, store, clock, hosts: createHosts({ store, clock }) };

  async function approve(
    request: Parameters<Pods['create']>[0],
    { ask, ...options }: CallOptions & { readonly ask: Ask },
  ): Promise<Approved | Extract<CreateOutcome, { status: 'needs_confirmation' }>> {
    if (request.quoteId !== undefined) {
      const quote = await validQuote(store.quotes, request.quoteId, clock);
      checkTerms(quote.terms, secrets);
      const sold = await freshOffers(providers, quote.terms, options);
      const { offers } = await checkPreconditions(sold, quote.terms, checks, options);
      return { quote, approvedBy: 'quote', offers };
    }
    checkTerms(request.terms, secrets);
    const sold = await freshOffers(providers, request.terms, options);
    const plan = await checkPreconditions(sold, request.terms, checks, options);
    const { offers } = plan;
    const quote = quoteFor(plan.terms, offers, clock, plan.notes);
    // Nobody is asked for what the limits forbid; they are checked again when the intent is written.
    for (const offer of offers.slice(0, 1))
      checkLimits(
        leaseFor(offer, quote, 'auto', [], deps),
        await readableLeases(store),
        limits,
        clock.now(),
      );
    if (quote.usdPerHour === 0) return { quote, approvedBy: 'free', offers };
    const isSmall = quote.maxUsd <= (limits.autoApproveUsd ?? -1);
    if (isSmall && !plan.mustAsk) return { quote, approvedBy: 'auto', offers };
    const answer = await ask({ message: questionOf(quote), field: 'approve' });
    if (answer === 'accepted') return { quote, approvedBy: 'form', offers };
    await keepQuote(store, quote, clock);
    return answer === 'declined'
      ? { status: 'needs_confirmation', quote, declined: true }
      : { status: 'needs_confirmation', quote };
  }

  async function rent(
    offer: Offer,
    { quote, approvedBy }: Approved,
    attempts: readonly Attempt[],
    isFirst: boolean,
    signal: AbortSignal,
  ): Promise<Ordered> {
    const supplies = await suppliesFor(quote.terms, deps, { signal });
    await ensureKey(providers.get(offer.provider), supplies.sshPublicKey, { signal });
    const lease = leaseFor(offer, quote, approvedBy, attempts, deps);
    signal.throwIfAborted();
    deps.creating.add(lease.leaseId);
    const work = intend(lease, quote, isFirst, deps)
      .then(async () => orderPod(lease, supplies, deps))
      .finally(() => deps.creating.delete(lease.leaseId));
    return untilAborted(work, signal);
  }

  return async (request, options) => {
    const approved = await approve(request, options);
    if ('status' in approved) return approved;
    const { quote, offers } = approved;
    const end = clock.now().getTime() + request.waitSeconds * 1000;
    const attempts: Attempt[] = [];
    let rented = 0;
    for (const offer of offers) {
      if (rented >= quote.terms.maxAttempts) break;
      const dearer = dearerThanAgreed(offer, quote);
      if (dearer !== undefined) {
        attempts.push({ offerId: offer.offerId, reason: dearer, cleanup: 'nothing_created' });
        continue;
      }
      options.progress?.(`Renting candidate ${rented + 1}`);
      const ordered = await rent(offer, approved, attempts, rented === 0, options.signal);
      rented += 1;
      if (ordered.kind === 'unknown') throw outcomeUnknown(ordered);
      if (ordered.kind === 'refused') {
        attempts.push({ offerId: offer.offerId, reason: ordered.reason, cleanup: ordered.cleanup });
        continue;
      }
      const left = Math.max(0, (end - clock.now().getTime()) / 1000);
      const { lease, pod } = await deps.waitReady(ordered.lease, left, options);
      if (pod.status !== 'failed' && pod.status !== 'gone')
        return { status: pod.status === 'ready' ? 'ready' : 'provisioning', pod, attempts };
      const gone = await endFailed(lease, options.signal);
      const reason = lease.failure ?? 'The pod failed.';
      attempts.push({ offerId: offer.offerId, reason, cleanup: gone });
      if (gone !== 'gone') return { status: 'failed', pod, attempts };
    }
    if (attempts.every(({ reason }) => reason.startsWith('price_changed')))
      throw new PolicyError(
        'price_changed',
        'The price rose above what was agreed. Nothing is rented.',
      );
    return { status: 'failed', attempts };
  };

  /** Nothing ran there yet, so there is nothing to save. */
  async function endFailed(lease: Lease, signal: AbortSignal): Promise<Attempt['cleanup']> {
    const seen = await untilAborted(
      deps.teardown.end(lease, { waitSeconds: CLEANUP_SECONDS }),
      signal,
    );
    return seen.kind === 'absent' && !seen.young
      ? 'gone'
      : seen.kind === 'present'
        ? 'present'
        : 'unknown';
  }
}

function dearerThanAgreed(offer: Offer, quote: Quote): string | undefined {
  const quoted = quote.offers.find(({ offerId }) => offerId === offer.offerId);
  const agreed = quoted === undefined ? 0 : priceOf(quoted, quote.terms);
  const price = priceOf(offer, quote.terms);
  return price > agreed + 0.000_001
    ? `price_changed: the price rose from ${usd(agreed)} to ${usd(price)} an hour.`
    : undefined;
}

function outcomeUnknown({
  lease,
  cleanup,
  reason,
}: Extract<Ordered, { kind: 'unknown' }>): ProviderError {
  const id = handleOf(lease);
  return new ProviderError(
    'outcome_unknown',
    cleanup === 'present'
      ? `Creation failed and pod ${id} is still there (${reason})`
      : `Nobody can tell whether a pod was made. It is tracked as ${id} (${reason})`,
    { hint: `No other pod was rented. Call get_pod with podId "${id}", or destroy it.` },
  );
}

/** Amounts and times of our own; nothing a provider wrote. */
function questionOf({ usdPerHour, maxUsd, terms, offers }: Quote): string {
  const minutes = Math.round(bindingMinutes(terms, usdPerHour));
  const [first] = offers;
  return [
    `Rent a pod from ${first?.provider ?? 'the provider'} (offer ${terms.offerIds.join(', then ')})`,
    `for at most ${usd(usdPerHour)} an hour, ${terms.diskGb} GB disk,`,
    `ends by itself after ${minutes} minutes (${terms.onExpiry}): at most ${usd(maxUsd)} in all?`,
  ].join(' ');
}
