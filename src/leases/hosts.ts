import type { Clock } from '../core/call.ts';
import { isAppError } from '../core/errors.ts';
import { type Host, type Hosts, hostIdOf } from '../core/host.ts';
import type { Lease } from '../core/lease.ts';
import type { Store } from '../core/store.ts';

const KEPT_BOOTS = 10;
const KEPT_FAILURES = 20;
const HOUR_MS = 3_600_000;
/** A host whose fault it was is left out of searches so long (OF-15). */
export const BLOCK_HOURS = 24;
/** After so long a failure counts half. */
const HALF_LIFE_HOURS = 72;
const DOUBT = 0.5;

export interface HostsDeps {
  readonly store: Store;
  readonly clock: Clock;
}

/** Keeps the ledger of machines in the store. A record that cannot be read is left as it is and stops nobody's lease. */
export function createHosts({ store, clock }: HostsDeps): Hosts {
  const change = async (
    lease: Lease,
    machineId: string | undefined,
    next: (host: Host, now: string) => Host,
  ): Promise<void> => {
    const { provider, offer } = lease;
    const machine = offer.machineId ?? machineId;
    const hostId = hostIdOf({ provider, machineId: machine });
    if (hostId === undefined || machine === undefined) return;
    const now = clock.now().toISOString();
    await store
      .transaction(async (tx) => {
        const before = (await tx.hosts.get(hostId)) ?? {
          hostId,
          provider,
          machineId: machine,
          bootCount: 0,
          boots: [],
          failureCount: 0,
          failures: [],
          changedAt: now,
        };
        const after = next(before, now);
        if (after !== before) await tx.hosts.put(hostId, { ...after, changedAt: now });
      })
      .catch((failure: unknown) => {
        if (!isAppError(failure) || failure.code !== 'state_unreadable') throw failure;
      });
  };
  return {
    async succeeded(lease, { bootSeconds, machineId, ...measured }) {
      await change(lease, machineId, (host, at) => {
        if (host.boots.some(({ leaseId }) => leaseId === lease.leaseId)) return host;
        const boot = { leaseId: lease.leaseId, at, seconds: Math.max(0, bootSeconds) };
        const told = Object.entries(measured).filter(([, value]) => value !== undefined);
        return {
          ...host,
          bootCount: host.bootCount + 1,
          boots: [...host.boots, boot].slice(-KEPT_BOOTS),
          ...(told.length === 0 ? {} : { ...Object.fromEntries(told), measuredAt: at }),
        };
      });
    },
    async failed(lease, { machineId, stage, reason, blame }) {
      await change(lease, machineId, (host, at) => {
        if (host.failures.some(({ leaseId }) => leaseId === lease.leaseId)) return host;
        const failure = { leaseId: lease.leaseId, at, stage, reason, blame };
        return {
          ...host,
          failureCount: host.failureCount + 1,
          failures: [...host.failures, failure].slice(-KEPT_FAILURES),
          ...(stage === 'gpu' ? { mismatchAt: at } : {}),
        };
      });
    },
    async all() {
      return new Map((await store.hosts.list()).map((host) => [host.hostId, host]));
    },
  };
}

/**
 * `blocked`: its own fault in the last 24 hours, and no boot since. `doubtful`: older faults that still count. `proven`: it
 * booted for us and nothing speaks against it.
 */
export type Standing = 'blocked' | 'doubtful' | 'unknown' | 'proven';

export function standingOf(host: Host | undefined, now: Date): Standing {
  if (host === undefined) return 'unknown';
  const ours = host.failures.filter(({ blame }) => blame === 'host');
  const last = ours.at(-1);
  const boot = host.boots.at(-1);
  const isOver = last !== undefined && boot !== undefined && boot.at > last.at;
  if (last !== undefined && !isOver && hoursSince(last.at, now) < BLOCK_HOURS) return 'blocked';
  const doubt = ours.reduce(
    (sum, { at }) => sum + 0.5 ** (hoursSince(at, now) / HALF_LIFE_HOURS),
    0,
  );
  if (doubt >= DOUBT) return 'doubtful';
  return host.bootCount > 0 ? 'proven' : 'unknown';
}

/** "booted in 48 s twice for us"; `undefined`: nothing good to say. */
export function praiseOf(host: Host | undefined): string | undefined {
  if (host === undefined || host.bootCount === 0) return undefined;
  return `booted in ${Math.round(medianOf(host.boots.map(({ seconds }) => seconds)))} s ${timesOf(host.bootCount)} for us`;
}

/** What its last own fault was, while it still counts; `undefined`: nothing to warn of. */
export function blemishOf(host: Host | undefined, now: Date): string | undefined {
  const standing = standingOf(host, now);
  const last = host?.failures.findLast(({ blame }) => blame === 'host');
  if (last === undefined || (standing !== 'blocked' && standing !== 'doubtful')) return undefined;
  return `this machine failed for us ${agoOf(hoursSince(last.at, now))}: ${last.reason}`;
}

function medianOf(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

function hoursSince(iso: string, now: Date): number {
  return Math.max(0, now.getTime() - Date.parse(iso)) / HOUR_MS;
}

function agoOf(hours: number): string {
  if (hours < 1) return `${Math.max(1, Math.round(hours * 60))} min ago`;
  return hours < 48 ? `${Math.round(hours)} h ago` : `${Math.round(hours / 24)} days ago`;
}

function timesOf(count: number): string {
  return count === 1 ? 'once' : count === 2 ? 'twice' : `${count} times`;
}
