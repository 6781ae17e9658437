import type { Clock } from '../core/call.ts';
import { isAppError } from '../core/errors.ts';
import { localPartOf, type ProviderName, podIdOfProfile, providerOf } from '../core/ids.ts';
import { isTerminal } from '../core/job.ts';
import type { Lease } from '../core/lease.ts';
import type { Pod, Pods, ProviderReading } from '../core/pods.ts';
import type { Provider, ProviderPod, Providers, Volume } from '../core/provider.ts';
import type { Store } from '../core/store.ts';
import type { AccountBook } from './account-book.ts';
import { limitUses } from './budget-use.ts';
import { limitOf, untilAborted } from './deps.ts';
import { reopenSeen } from './late.ts';
import { handleOf, isPodOf, type Ledger } from './ledger.ts';
import type { Left } from './left.ts';
import type { Limits } from './limits.ts';
import type { Looks } from './looks.ts';
import { rateNow, roundUsd, spentUsd } from './money.ts';
import { volumeProblem } from './new-volume.ts';
import type { Observer, Reading } from './observer.ts';
import { recall } from './recall.ts';
import { given } from './request.ts';
import type { See } from './see.ts';
import { isToBeReplaced } from './succession.ts';
import { podOf, unmanagedPodOf, userManagedPodOf } from './view.ts';
import { parseVolume } from './volumes.ts';

const LISTING_LIMIT_SECONDS = 20;
/** Balances and volumes change slowly, and are asked for at the price of waiting. */
const KEPT_SECONDS = 30;
const PATIENCE_SECONDS = 5;

export interface ListDeps {
  readonly store: Store;
  readonly providers: Providers;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly ledger: Ledger;
  readonly observer: Observer;
  readonly looks: Looks;
  readonly accounts: AccountBook;
  readonly see: Pick<See, 'climb' | 'successorOf'>;
  readonly left: Pick<Left, 'ended'>;
}
interface Listing {
  readonly reading: ProviderReading & { readonly balanceUsd?: number | undefined };
  /** Absent: the provider did not tell. */
  readonly pods?: readonly ProviderPod[];
  /** Absent: it has none, or did not tell. */
  readonly volumes?: readonly Volume[] | undefined;
}

/** Everything that is or may be billed, what needs care first. One cloud down hides nothing of the others. */
export function createList(deps: ListDeps): Pods['list'] {
  const { store, providers, clock, limits, ledger, observer, looks, accounts, left } = deps;
  const { see: eyes } = deps;

  /** What is not told in time is not told; whoever asks next has it. */
  async function soon<T>(work: Promise<T>): Promise<T> {
    return untilAborted(work, limitOf(PATIENCE_SECONDS));
  }

  async function listingOf(provider: Provider): Promise<Listing> {
    const signal = limitOf(LISTING_LIMIT_SECONDS);
    const [pods, account, disks] = await Promise.allSettled([
      provider.listPods({ signal }),
      soon(accounts.check(provider.name, KEPT_SECONDS)),
      soon(looks.volumes(provider.name, KEPT_SECONDS)),
    ]);
    const volumes = disks.status === 'fulfilled' ? disks.value : undefined;
    const balanceUsd = account.status === 'fulfilled' ? account.value.balanceUsd : undefined;
    if (pods.status === 'fulfilled')
      return {
        reading: { provider: provider.name, ok: true, balanceUsd },
        pods: pods.value,
        volumes,
      };
    const failure: unknown = pods.reason;
    const error = isAppError(failure)
      ? `${failure.code}: ${failure.message}`
      : 'internal: the listing failed.';
    return { reading: { provider: provider.name, ok: false, error, balanceUsd }, volumes };
  }

  async function see(lease: Lease, listing: Listing | undefined): Promise<Pod> {
    const facts = providers.get(lease.provider)?.facts;
    const replacedBy = await eyes.successorOf(lease);
    if (lease.state === 'closed') return podOf({ lease, facts, replacedBy }, clock);
    const listed = listing?.pods?.find((pod) => isPodOf(lease, pod));
    const reading: Reading =
      listed === undefined
        ? await observer.look(lease)
        : await observer.vet(lease, { kind: 'present', pod: listed });
    const settled = await observer.settle(lease, reading);
    return podOf({ lease: await eyes.climb(settled, reading), reading, facts, replacedBy }, clock);
  }

  async function userManaged(): Promise<readonly Pod[]> {
    const [profiles, jobs, sessions] = await Promise.all([
      store.profiles.list(),
      store.jobs.list(),
      store.sessions.list(),
    ]);
    const busy = new Set<string>([
      ...jobs.filter(({ status }) => !isTerminal(status)).map(({ podId }) => podId),
      ...sessions
        .filter(({ state }) => state !== 'closed' && state !== 'lost')
        .map(({ podId }) => podId),
    ]);
    return profiles
      .map(({ profileId }) => ({ podId: podIdOfProfile(profileId), name: profileId }))
      .filter(({ podId }) => busy.has(podId))
      .map((profile) => userManagedPodOf(profile, clock.now()));
  }

  return async ({ provider: only, includeEnded }, options) => {
    const isWanted = (name: ProviderName): boolean => only === undefined || name === only;
    const asked = [...providers.values()].filter(({ name }) => isWanted(name));
    // Read before the clouds are asked: what another process saw gone meanwhile may still be in their older answer.
    const before = await ledger.all();
    for (const lease of before) recall(lease, providers);
    const listings = await untilAborted(Promise.all(asked.map(listingOf)), options.signal);
    await reopenSeen(
      listings.flatMap(({ pods = [] }) => pods),
      before,
      { ledger, observer },
    );
    const leases = (await ledger.all()).filter(({ provider }) => isWanted(provider));
    const known = leases.filter(
      (lease) => includeEnded || lease.state !== 'closed' || isToBeReplaced(lease, clock.now()),
    );
    const managed = await untilAborted(
      Promise.all(
        known.map(async (lease) =>
          see(
            lease,
            listings.find(({ reading }) => reading.provider === lease.provider),
          ),
        ),
      ),
      options.signal,
    );
    const ours = [...before, ...leases].filter(({ state }) => state !== 'closed');
    const strangers = listings.flatMap(({ reading, pods = [] }) =>
      pods
        .filter((pod) => !ours.some((lease) => isPodOf(lease, pod)))
        .map((pod) => unmanagedPodOf(pod, reading.provider, clock.now())),
    );
    const now = clock.now();
    const everywhere = await ledger.all();
    const after = everywhere.filter(({ provider }) => isWanted(provider));
    const uses = limitUses(everywhere, limits, now);
    const ended = (await left.ended(includeEnded)).filter(({ podId }) =>
      isWanted(providerOf(podId)),
    );
    const pods = [...managed, ...strangers, ...(isWanted('ssh') ? await userManaged() : [])];
    return {
      pods: pods
        .filter(
          ({ status, isBeingReplaced }) => includeEnded || status !== 'gone' || isBeingReplaced,
        )
        .sort(byUrgency),
      providers: listings.map(({ reading }) => reading),
      usdPerHour: roundUsd(
        after.reduce((sum, lease) => sum + rateNow(lease), 0) +
          strangers.reduce((sum, { usdPerHour = 0 }) => sum + usdPerHour, 0),
      ),
      spentUsd: roundUsd(after.reduce((sum, lease) => sum + spentUsd(lease, now), 0)),
      ...(listings.some(({ volumes }) => volumes !== undefined)
        ? {
            volumes: listings
              .flatMap(({ volumes = [] }) => volumes)
              .map((listed) => {
                const volume = withHolders(listed, after);
                const problem = volumeProblem(volume, after, now);
                return problem === undefined ? volume : { ...volume, problem };
              }),
          }
        : {}),
      ...(uses.length === 0 ? {} : { limits: uses }),
      ...(ended.length === 0 ? {} : { ended }),
    };
  };
}

/** A cloud may forget to say where a volume is attached: what our own leases link is attached. */
function withHolders(volume: Volume, leases: readonly Lease[]): Volume {
  const mine = leases
    .filter((lease) => lease.state !== 'closed' && isLinked(lease, volume))
    .map(handleOf);
  return { ...volume, podIds: [...new Set([...volume.podIds, ...mine])] };
}
function isLinked({ provider, terms, volumes = [] }: Lease, { volumeId }: Volume): boolean {
  if (volumes.some((one) => one.volumeId === volumeId)) return true;
  const text = given(terms.volume);
  if (text === undefined || providerOf(volumeId) !== provider) return false;
  const { use } = parseVolume(text);
  return 'volumeId' in use && use.volumeId === localPartOf(volumeId);
}

const URGENCY = ['cleanup_failed', 'failed', 'unknown', 'destroying', 'unreachable'];
/** What may cost money for nothing comes first (TD-12). */
function byUrgency(a: Pod, b: Pod): number {
  const rank = ({ status, mode }: Pod): number => {
    const at = URGENCY.indexOf(status);
    return mode === 'user_managed' ? URGENCY.length + 1 : at === -1 ? URGENCY.length : at;
  };
  return rank(a) - rank(b) || (b.createdAt ?? '').localeCompare(a.createdAt ?? '');
}
