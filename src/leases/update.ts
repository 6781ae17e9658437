import type { CallOptions, Clock } from '../core/call.ts';
import { InputError, PolicyError, ProviderError, RemoteError } from '../core/errors.ts';
import { type PodId, providerOf } from '../core/ids.ts';
import type { Jobs } from '../core/job.ts';
import type { Lease } from '../core/lease.ts';
import type { Ask, Pods } from '../core/pods.ts';
import type { PodPower, Providers } from '../core/provider.ts';
import type { Remote } from '../core/remote.ts';
import type { Sessions } from '../core/session.ts';
import type { Store } from '../core/store.ts';
import { handleOf, type Ledger, without } from './ledger.ts';
import { checkLimits, type Limits } from './limits.ts';
import type { Looks } from './looks.ts';
import { accrued, bindingMinutes, minutesAfter, reservedUsd, spentUsd, usd } from './money.ts';
import type { PodTimer } from './pod-timer.ts';
import { checkTtl } from './quotes.ts';
import { stopped } from './reconcile.ts';
import { readableLeases } from './rent.ts';
import { checkPodName } from './terms.ts';
import { hasLiveJob } from './view.ts';

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
  readonly timer: PodTimer;
  readonly adopt: (podId: PodId, ttlMinutes: number, options: UpdateOptions) => Promise<Lease>;
  readonly view: (lease: Lease) => ReturnType<Pods['update']>;
}
type UpdateOptions = CallOptions & { readonly ask: Ask };
type Change = Parameters<Pods['update']>[1];

const DEFAULT_TTL_MINUTES = 360;

export function createUpdate(deps: UpdateDeps): Pods['update'] {
  const { ledger, providers, clock } = deps;
  return async (podId, change, options) => {
    const { action, ttlMinutes, budgetUsd, name, adopt } = change;
    checkTtl(ttlMinutes);
    let lease = await ledger.find(podId);
    const isMine = lease !== undefined && lease.state !== 'closed';
    if (adopt === true && !isMine)
      lease = await deps.adopt(podId, ttlMinutes ?? DEFAULT_TTL_MINUTES, options);
    else if (lease === undefined) throw await strangerError(podId, providers, options);
    if (lease.state === 'closed') throw new RemoteError('pod_gone', 'This pod is gone.');
    if (lease.state === 'closing')
      throw new ProviderError(
        'teardown_unconfirmed',
        'This pod was ordered to end and has not been seen gone yet.',
      );
    const deadlineBefore = adopt === true && !isMine ? undefined : lease.deadlineAt;
    if (name !== undefined) lease = await rename(lease, name, ledger);
    if ((ttlMinutes !== undefined && adopt !== true) || budgetUsd !== undefined)
      lease = await prolong(lease, change, options, deps);
    if (action !== undefined) lease = await power(lease, action, options, deps);
    await ledger.note('updated', lease, describe(change, clock));
    const isMoved = deadlineBefore !== undefined && deadlineBefore !== lease.deadlineAt;
    return { ...(await deps.view(lease)), ...(isMoved ? { deadlineBefore } : {}) };
  };
}

async function rename(lease: Lease, name: string, ledger: Ledger): Promise<Lease> {
  checkPodName(name);
  return ledger.update(lease.leaseId, (before) => ({ ...before, name }));
}

/** A new deadline, from now, within budget and limits. What may cost more than before is asked for first. */
async function prolong(
  lease: Lease,
  { ttlMinutes, budgetUsd }: Change,
  { ask, signal }: UpdateOptions,
  { store, providers, clock, limits, ledger }: UpdateDeps,
): Promise<Lease> {
  const change = (before: Lease): Lease => {
    const now = clock.now();
    const budget = budgetUsd ?? before.budgetUsd;
    const spent = spentUsd(before, now);
    const left = Math.max(0, Date.parse(before.deadlineAt) - now.getTime()) / 60_000;
    const minutes = bindingMinutes(
      {
        ttlMinutes: ttlMinutes ?? left,
        ...(budget === undefined ? {} : { budgetUsd: Math.max(0, budget - spent) }),
      },
      before.usdPerHour,
    );
    if (minutes < 1)
      throw new PolicyError(
        'budget_exceeded',
        `${usd(spent)} are spent already: that leaves no time.`,
      );
    return {
      ...without(before, 'warnedAt'),
      deadlineAt: minutesAfter(now, minutes),
      ...(budget === undefined ? {} : { budgetUsd: budget }),
    };
  };
  const wanted = change(lease);
  const now = clock.now();
  const whole = spentUsd(wanted, now) + reservedUsd(wanted, now);
  const costsMore =
    reservedUsd(wanted, now) > reservedUsd(lease, now) + 0.005 ||
    (wanted.usdPerHour > 0 && (budgetUsd ?? 0) > (lease.budgetUsd ?? Infinity));
  if (costsMore && whole > (limits.autoApproveUsd ?? -1)) {
    checkLimits(wanted, await othersOf(lease, store), limits, now);
    await approve(lease, `keep it until ${wanted.deadlineAt}, at most ${usd(whole)} in all`, ask);
  }
  const after = await store.transaction(async (tx) => {
    const before = (await tx.leases.get(lease.leaseId)) ?? lease;
    if (before.state !== 'open' && before.state !== 'intended')
      throw new InputError('unsupported', 'This pod is being destroyed.');
    const next = change(before);
    const others = (await readableLeases(tx)).filter(({ leaseId }) => leaseId !== lease.leaseId);
    if (costsMore) checkLimits(next, others, limits, clock.now());
    await tx.leases.put(lease.leaseId, next);
    return next;
  });
  try {
    if (after.podId !== undefined)
      await providers
        .get(lease.provider)
        ?.deadlines?.setDeadline(after.podId, after.deadlineAt, { signal });
  } catch (failure) {
    // The provider keeps the old time: so do we, or the earlier of the two when that is the new one.
    await ledger.update(lease.leaseId, (before) => ({
      ...before,
      deadlineAt: lease.deadlineAt < after.deadlineAt ? lease.deadlineAt : after.deadlineAt,
    }));
    throw failure;
  }
  return after;
}

async function othersOf(lease: Lease, store: Store): Promise<readonly Lease[]> {
  return (await readableLeases(store)).filter(({ leaseId }) => leaseId !== lease.leaseId);
}

/** Money beyond what was agreed needs a person: there is no quote for it. Throws `budget_exceeded`. */
async function approve(lease: Lease, what: string, ask: Ask): Promise<void> {
  const answer = await ask({ message: `Pod ${handleOf(lease)}: ${what}?`, field: 'approve' });
  if (answer === 'accepted') return;
  throw answer === 'declined'
    ? new PolicyError('budget_exceeded', 'The user declined. Nothing was changed.', {
        hint: 'Ask the user before calling again.',
      })
    : new PolicyError('budget_exceeded', `This needs the consent of a person: ${what}.`, {
        hint: 'This client cannot ask. The user can raise GPU_LEASE_AUTO_APPROVE_USD and restart.',
      });
}

async function power(
  lease: Lease,
  action: NonNullable<Change['action']>,
  options: CallOptions,
  { providers, sessions, remote, jobs, clock, ledger }: UpdateDeps,
): Promise<Lease> {
  const provider = providers.get(lease.provider);
  const { podId } = lease;
  if (provider?.power === undefined)
    throw new InputError('unsupported', `${lease.provider} cannot ${action} a pod.`, {
      hint: 'It goes on costing until destroy. Bring the results home with fetch_artifacts first.',
    });
  if (podId === undefined) throw new RemoteError('pod_not_ready', 'There is no pod yet.');
  if (action !== 'stop' && Date.parse(lease.deadlineAt) <= clock.now().getTime())
    throw new InputError('invalid_input', 'The deadline has passed: give ttlMinutes too.');
  const isRunning = lease.stoppedAt === undefined;
  if (action !== 'start' && isRunning) {
    if (hasLiveJob(await jobs.refresh(podId, options)))
      throw new PolicyError('job_running', `A job runs on this pod; ${action} would end it.`);
    await jobs.collectLogs(podId, options);
    await sessions.closePod(podId, options);
    await remote.disconnect(podId);
  }
  await powerOf(provider.power, action)(podId, options);
  return ledger.update(lease.leaseId, (before) => {
    if (action === 'stop')
      return before.stoppedAt === undefined ? stopped(before, clock) : undefined;
    if (action === 'start' && before.stoppedAt === undefined) return undefined;
    return booted(before, clock.now());
  });
}

function powerOf(power: PodPower, action: NonNullable<Change['action']>): PodPower['stopPod'] {
  switch (action) {
    case 'start':
      return async (podId, options) => power.startPod(podId, options);
    case 'stop':
      return async (podId, options) => power.stopPod(podId, options);
    case 'restart':
      return async (podId, options) => power.restartPod(podId, options);
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
    'observedStatus',
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

function describe({ action, ttlMinutes, budgetUsd, name, adopt }: Change, clock: Clock): string {
  const parts = [
    ...(adopt === true ? ['adopted'] : []),
    ...(action === undefined ? [] : [action]),
    ...(ttlMinutes === undefined ? [] : [`ttlMinutes ${ttlMinutes}`]),
    ...(budgetUsd === undefined ? [] : [`budgetUsd ${budgetUsd}`]),
    ...(name === undefined ? [] : ['renamed']),
  ];
  return `${parts.join(', ') || 'nothing changed'} at ${clock.now().toISOString()}`;
}
