import type { CallOptions, Clock } from '../core/call.ts';
import { InputError, PolicyError, ProviderError, RemoteError } from '../core/errors.ts';
import type { Gate } from '../core/files.ts';
import { type PodId, providerOf } from '../core/ids.ts';
import type { Jobs } from '../core/job.ts';
import type { Lease } from '../core/lease.ts';
import type { Ask, Pods } from '../core/pods.ts';
import type { PodPower, Provider, Providers } from '../core/provider.ts';
import type { Remote } from '../core/remote.ts';
import type { Sessions } from '../core/session.ts';
import type { Store } from '../core/store.ts';
import type { AccountBook } from './account-book.ts';
import { changeBid } from './bid.ts';
import { crossedBy } from './cautions.ts';
import { type Change, quoteChange, takeChange } from './change-quote.ts';
import { stopped } from './expire.ts';
import { type Ledger, without } from './ledger.ts';
import type { Limits } from './limits.ts';
import type { Looks } from './looks.ts';
import { accrued, usd } from './money.ts';
import type { PodTimer } from './pod-timer.ts';
import { prolong } from './prolong.ts';
import { checkTtl } from './quotes.ts';
import { shorterWords } from './shorter.ts';
import { ConsentNeeded, checkStart } from './spend-more.ts';
import { workNotHome } from './stop-loss.ts';
import { checkPodName } from './terms.ts';
import { hasLiveJob, unmanagedPodOf } from './view.ts';

export interface UpdateDeps {
  readonly store: Store;
  readonly providers: Providers;
  readonly sessions: Sessions;
  readonly remote: Remote;
  readonly jobs: Jobs;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly ledger: Ledger;
  readonly looks: Looks;
  readonly accounts: AccountBook;
  readonly timer: PodTimer;
  readonly rescue?: { readonly folder: string } | undefined;
  readonly gates: (lease: Lease, options: CallOptions) => Promise<readonly Gate[]>;
  readonly adopt: (podId: PodId, ttlMinutes: number, options: UpdateOptions) => Promise<Lease>;
  readonly view: (lease: Lease) => ReturnType<Pods['update']>;
}
export type UpdateOptions = CallOptions & { readonly ask: Ask };
export type { Change } from './change-quote.ts';

const DEFAULT_TTL_MINUTES = 360;

export function createUpdate(deps: UpdateDeps): Pods['update'] {
  const { ledger, providers, clock } = deps;
  async function apply(
    podId: PodId,
    change: Omit<Change, 'quoteId'>,
    options: UpdateOptions,
  ): ReturnType<Pods['update']> {
    const { action, ttlMinutes, budgetUsd, name, bidUsdPerHour, adopt } = change;
    checkTtl(ttlMinutes);
    checkPodName(name);
    let lease = await ledger.find(podId);
    const isMine = lease !== undefined && lease.state !== 'closed';
    if (adopt === true && !isMine)
      lease = await deps.adopt(podId, ttlMinutes ?? DEFAULT_TTL_MINUTES, options);
    else if (lease === undefined) throw await strangerError(podId, providers, options);
    await deps.accounts.refuseStrange(lease);
    if (lease.state === 'closed') throw new RemoteError('pod_gone', 'This pod is gone.');
    if (lease.state === 'closing')
      throw new ProviderError(
        'teardown_unconfirmed',
        'This pod was ordered to end and has not been seen gone yet.',
      );
    const notHome = await workNotHome(lease, change, options, deps);
    const deadlineBefore = adopt === true && !isMine ? undefined : lease.deadlineAt;
    if ((ttlMinutes !== undefined && adopt !== true) || budgetUsd !== undefined)
      lease = await prolong(lease, change, options, deps);
    if (bidUsdPerHour !== undefined) lease = await changeBid(lease, bidUsdPerHour, options, deps);
    if (action !== undefined) lease = await power(lease, action, options, deps);
    if (name !== undefined) lease = await rename(lease, name, ledger);
    await ledger.note('updated', lease, describe(change, clock));
    const isDearer =
      [ttlMinutes, budgetUsd, bidUsdPerHour].some((each) => each !== undefined) || adopt === true;
    const isMoved = deadlineBefore !== undefined && deadlineBefore !== lease.deadlineAt;
    const cautions = [
      ...(isDearer ? await crossedBy(lease, deps) : []),
      ...(isMoved ? await cutShort(lease, deadlineBefore, deps) : []),
    ];
    return {
      ...(await deps.view(lease)),
      ...(isMoved ? { deadlineBefore } : {}),
      ...(notHome.length > 0 ? { notHome } : {}),
      ...(cautions.length > 0 ? { cautions } : {}),
    };
  }

  /** The pod as it is, which a quote changes nothing of. */
  async function unchanged(podId: PodId, options: UpdateOptions): ReturnType<Pods['update']> {
    const lease = await ledger.find(podId);
    if (lease !== undefined && lease.state !== 'closed') return deps.view(lease);
    const provider = providerOf(podId);
    const pod = await providers.get(provider)?.getPod(podId, options);
    if (pod === undefined) throw new InputError('not_found', 'There is no such pod.');
    return {
      pod: unmanagedPodOf(pod, provider, clock.now()),
      stillCharged: `${usd(pod.usdPerHour)} an hour by its cloud, as before.`,
    };
  }

  return async (podId, { quoteId, ...asked }, options) => {
    const agreed =
      quoteId === undefined ? undefined : await takeChange(podId, quoteId, asked, deps);
    const { change, ask } = agreed ?? { change: asked, ask: options.ask };
    try {
      return await apply(podId, change, { ...options, ask });
    } catch (failure) {
      if (!(failure instanceof ConsentNeeded)) throw failure;
      const quote = await quoteChange(podId, change, failure.consent, deps);
      return { ...(await unchanged(podId, options)), quote };
    }
  };
}

async function rename(lease: Lease, name: string, ledger: Ledger): Promise<Lease> {
  return ledger.update(lease.leaseId, (before) => ({ ...before, name }));
}

async function power(
  lease: Lease,
  action: NonNullable<Change['action']>,
  options: CallOptions,
  deps: UpdateDeps,
): Promise<Lease> {
  const { providers, sessions, remote, jobs, clock, ledger, looks } = deps;
  const provider = providers.get(lease.provider);
  const { podId } = lease;
  const act = provider === undefined ? undefined : orderOf(provider, action);
  if (act === undefined)
    throw new InputError('unsupported', `${lease.provider} cannot ${action} a pod.`, {
      hint: 'It goes on costing until destroy. Bring the results home with fetch_artifacts first.',
    });
  if (podId === undefined) throw new RemoteError('pod_not_ready', 'There is no pod yet.');
  if (action !== 'stop' && Date.parse(lease.deadlineAt) <= clock.now().getTime())
    throw new InputError('invalid_input', 'The deadline has passed: give ttlMinutes too.');
  const isRunning = lease.stoppedAt === undefined;
  if (action !== 'stop' && !isRunning) await checkStart(lease, deps);
  if (action !== 'start' && isRunning) {
    if (hasLiveJob(await jobs.refresh(podId, options)))
      throw new PolicyError('job_running', `A job runs on this pod; ${action} would end it.`);
    await jobs.collectLogs(podId, options);
    await sessions.closePod(podId, options);
    await remote.disconnect(podId);
  }
  // Whoever stops a pod, or starts it again, wants this one and no other.
  await ledger.settleForGood(lease);
  looks.forget(podId);
  // Refused for want of room, it throws, and nothing is queued or changed.
  await act(podId, options).finally(() => {
    looks.forget(podId);
  });
  return ledger.update(lease.leaseId, (before) => {
    if (action === 'stop')
      return before.stoppedAt === undefined ? stopped(before, clock) : undefined;
    if (action === 'start' && before.stoppedAt === undefined) return undefined;
    return booted(before, clock.now());
  });
}

async function cutShort(
  lease: Lease,
  before: string,
  { jobs, store, rescue }: UpdateDeps,
): Promise<readonly string[]> {
  const known = lease.podId === undefined ? [] : await jobs.list(lease.podId);
  return shorterWords(lease, before, known, await store.artifacts.list(), rescue?.folder);
}

/** `undefined`: this cloud cannot do that. */
function orderOf(
  { power, restartPod }: Provider,
  action: NonNullable<Change['action']>,
): PodPower['stopPod'] | undefined {
  switch (action) {
    case 'start':
      return power && (async (podId, options) => power.startPod(podId, options));
    case 'stop':
      return power && (async (podId, options) => power.stopPod(podId, options));
    case 'restart':
      return power === undefined
        ? restartPod
        : async (podId, options) => power.restartPod(podId, options);
  }
}

/** Boots anew: the ladder starts at its foot, the full price counts from here. */
function booted(lease: Lease, now: Date): Lease {
  const rest = without(
    accrued(lease, now),
    'stoppedAt',
    'readyAt',
    'deniedSince',
    'failure',
    'blame',
    'endpoint',
    'keyAttachedAt',
    'observedStatus',
    'idle',
  );
  return { ...rest, bootAt: now.toISOString(), stage: 'created', stages: [] };
}

async function strangerError(
  podId: PodId,
  providers: Providers,
  options: CallOptions,
): Promise<Error> {
  const name = providerOf(podId);
  const exists =
    name === 'ssh' || (await providers.get(name)?.getPod(podId, options)) !== undefined;
  return exists
    ? new PolicyError('not_owned', 'This server did not rent that machine.', {
        hint:
          name === 'ssh'
            ? 'It belongs to the user: manage it where it was made.'
            : 'Ask the user. With adopt: true this server takes it over.',
      })
    : new InputError('not_found', 'There is no such pod.');
}

function describe(
  { action, ttlMinutes, budgetUsd, bidUsdPerHour, name, adopt }: Change,
  clock: Clock,
): string {
  const parts = [
    ...(adopt === true ? ['adopted'] : []),
    ...(action === undefined ? [] : [action]),
    ...(ttlMinutes === undefined ? [] : [`ttlMinutes ${ttlMinutes}`]),
    ...(budgetUsd === undefined ? [] : [`budgetUsd ${budgetUsd}`]),
    ...(bidUsdPerHour === undefined ? [] : [`bidUsdPerHour ${bidUsdPerHour}`]),
    ...(name === undefined ? [] : ['renamed']),
  ];
  return `${parts.join(', ') || 'nothing changed'} at ${clock.now().toISOString()}`;
}
