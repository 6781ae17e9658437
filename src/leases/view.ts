import type { Clock } from '../core/call.ts';
import { isTerminal, type Job } from '../core/job.ts';
import type { Lease } from '../core/lease.ts';
import type { Offer } from '../core/offer.ts';
import type { Pod, PodStatus } from '../core/pods.ts';
import type { ProviderFacts, ProviderPod } from '../core/provider.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { patienceWords } from './fate.ts';
import { handleOf } from './ledger.ts';
import { WARNING_SHARE } from './limits.ts';
import { rateNow, roundUsd, spentUsd, usd } from './money.ts';
import type { Reading } from './observer.ts';
import { isTimerBehind } from './pod-timer.ts';
import { secondsOnRung } from './rungs.ts';
import { isToBeReplaced } from './succession.ts';
import { chosenWay } from './way-in.ts';

/** A teardown that has not been proven after this long is called failed, and listed first. */
const CLEANUP_LIMIT_SECONDS = 180;
const SLOW_SECONDS = 90;
/** Why the next candidate of a quote was not rented, as it stands in the failure of the one before. */
const NOT_FOLLOWED = /The failed pod is not proven gone, so no other is rented\./;
const MOST_PORTS = 16;
const PORT_CHARS = 100;

export interface Seen {
  readonly lease: Lease;
  /** Absent: nobody looked just now. */
  readonly reading?: Reading | undefined;
  /** Whether a command of ours ran there just now. Absent: not tried. */
  readonly answers?: boolean | undefined;
  readonly facts?: ProviderFacts | undefined;
  /** The pod that took its place in the end, where one did. */
  readonly replacedBy?: Pod['podId'] | undefined;
}

/** Lease, the provider's word and our measurements as one pod. Pure but for the time. */
export function podOf(seen: Seen, clock: Clock): Pod {
  const { lease, reading, facts } = seen;
  const now = clock.now();
  const status = statusOf(seen, now);
  const endpoint = reading?.kind === 'present' ? chosenWay(lease, reading.pod) : undefined;
  const { replacedBy } = seen;
  const problem = problemOf(seen, status, now);
  const workFolder = lease.measured?.['workFolder'];
  const adopted = lease.approvedBy === 'adopted';
  return {
    podId: handleOf(lease),
    name: lease.name,
    provider: lease.provider,
    mode: 'managed',
    status,
    ...(lease.offer.gpu === undefined ? {} : { gpu: lease.offer.gpu }),
    ...(adopted ? {} : { gpuCount: lease.offer.gpuCount, advertised: advertisedOf(lease.offer) }),
    usdPerHour: roundUsd(status === 'stopped' ? rateNow(lease) : lease.usdPerHour),
    ...(lease.terms.bidUsdPerHour === undefined
      ? {}
      : { bidUsdPerHour: lease.terms.bidUsdPerHour }),
    spentUsd: roundUsd(spentUsd(lease, now)),
    ...(lease.budgetUsd === undefined ? {} : { budgetUsd: lease.budgetUsd }),
    createdAt: lease.createdAt,
    deadlineAt: lease.deadlineAt,
    onExpiry: lease.terms.onExpiry,
    stage: lease.stage,
    stages: [...lease.stages],
    ...(endpoint === undefined
      ? {}
      : {
          endpoint: {
            host: endpoint.host,
            port: endpoint.port,
            user: endpoint.user,
            route: endpoint.route,
          },
        }),
    ...portsOf(reading),
    ...(lease.measured === undefined ? {} : { measured: shownOf(lease.measured) }),
    ...(facts === undefined
      ? {}
      : {
          dangerClocks: [...facts.dangerClocks],
          paths: facts.paths.map((path) => ({ ...path })),
        }),
    ...(typeof workFolder === 'string' ? { workFolder } : {}),
    ...(lease.offer.rehearsal === undefined ? {} : { rehearsal: lease.offer.rehearsal }),
    ...(problem === undefined ? {} : { problem }),
    ...(replacedBy === undefined ? {} : { replacedBy }),
    ...(isToBeReplaced(lease, now) ? { isBeingReplaced: true } : {}),
    ...(lease.replaces === undefined ? {} : { replaces: lease.replaces }),
    ...(lease.observedAt === undefined ? {} : { observedAt: lease.observedAt }),
  };
}

/** The raw list, foreign text, for whoever wants to see where the way was read from (PR-16). */
function portsOf(reading: Reading | undefined): Pick<Pod, 'portMappings'> {
  const lines = reading?.kind === 'present' ? (reading.pod.portMappings ?? []) : [];
  return lines.length === 0
    ? {}
    : { portMappings: lines.slice(0, MOST_PORTS).map((line) => quoteForeign(line, PORT_CHARS)) };
}

export function statusOf({ lease, reading, answers }: Seen, now: Date): PodStatus {
  if (lease.state === 'closed') return lease.podId === undefined ? 'failed' : 'gone';
  if (lease.state === 'closing')
    return isCleanupOverdue(lease, now) ? 'cleanup_failed' : 'destroying';
  if (reading?.kind === 'unknown') return 'unknown';
  if (reading?.kind === 'absent')
    return lease.podId === undefined ? absentStatus(lease) : 'provisioning';
  const told = reading?.pod.status ?? lease.observedStatus;
  if (told === 'stopped' && (lease.stoppedAt !== undefined || lease.readyAt !== undefined))
    return 'stopped';
  if (told === 'failed' || lease.failure !== undefined) return 'failed';
  if (told === 'unknown') return 'unknown';
  if (lease.readyAt === undefined || told === 'provisioning') return 'provisioning';
  return answers === false ? 'unreachable' : 'ready';
}

function absentStatus({ state }: Lease): PodStatus {
  return state === 'intended' ? 'provisioning' : 'unknown';
}

function isCleanupOverdue({ closingAt }: Lease, now: Date): boolean {
  return (
    closingAt !== undefined &&
    (now.getTime() - Date.parse(closingAt)) / 1000 >= CLEANUP_LIMIT_SECONDS
  );
}

/** What to know about it in our own words; `undefined`: nothing. */
function problemOf(
  { lease, reading, facts }: Seen,
  status: PodStatus,
  now: Date,
): string | undefined {
  if (status === 'cleanup_failed') {
    const why = NOT_FOLLOWED.exec(lease.failure ?? '')?.[0];
    const words = 'It was ordered to end and is still there: it may go on costing money.';
    return [words, why, 'Call destroy again.'].filter((part) => part !== undefined).join(' ');
  }
  if (lease.state !== 'closed' && reading?.kind === 'unknown')
    return `${reading.why}; what is shown was true at ${lease.observedAt ?? lease.createdAt}.`;
  if (status === 'gone' && lease.failure !== undefined) return pastOf(lease.failure);
  if (lease.failure !== undefined) return lease.failure;
  if (lease.state !== 'closed' && reading?.kind === 'present') {
    const { problem } = reading.pod;
    if (problem !== undefined) return problem;
    if (status === 'failed')
      return 'The provider says that it failed; it may go on costing money until destroy.';
  }
  if (lease.podId === undefined && status === 'unknown')
    return 'The answer to its creation was lost. It is looked for by its label; until then it may cost money.';
  const { budgetUsd } = lease;
  const spent = spentUsd(lease, now);
  if (lease.state !== 'closed' && budgetUsd !== undefined && spent >= budgetUsd * WARNING_SHARE)
    return `${usd(spent)} of its budget of ${usd(budgetUsd)} are spent.`;
  if (Number.isNaN(Date.parse(lease.deadlineAt)))
    return 'Its deadline cannot be read. Set one with update_pod ttlMinutes.';
  if (lease.state !== 'open') return undefined;
  if (status === 'provisioning') return waitOf(lease, now);
  if (status !== 'ready') return undefined;
  if (isTimerBehind(lease, facts))
    return 'The timer on the pod could not be told of the new deadline, so it may end the pod at the one before. It is told again.';
  return lease.endpoint?.route === 'proxy'
    ? 'Reached through the proxy of the provider, because its own address does not answer: copies are slower and end when the proxy restarts.'
    : undefined;
}

/** Of what went wrong with a pod that is gone: nothing is charged, and nothing is to be done, any more. */
function pastOf(failure: string): string | undefined {
  const told = failure
    .split(/(?<=[.!?])\s+/)
    .filter((sentence) => !/\bcharged\b|raise the bid|\bdestroy\b|costing money/i.test(sentence));
  return told.length === 0 ? undefined : told.join(' ');
}

/** What is slow to come, once it is worth a word. */
function waitOf(lease: Lease, now: Date): string | undefined {
  const seconds = secondsOnRung(lease, now);
  if (seconds < SLOW_SECONDS) return undefined;
  const what =
    lease.stage === 'created'
      ? 'The provider is still preparing it, most often by pulling the image'
      : lease.stage === 'running'
        ? 'It runs and has no public port for SSH yet'
        : lease.stage === 'mapped' || lease.stage === 'tcp'
          ? 'Its SSH server does not answer yet'
          : lease.stage === 'banner'
            ? 'Its SSH server does not let us in yet'
            : 'It is being checked';
  return `${what}: ${seconds} s on this rung; ${patienceWords(lease)}.`;
}

function advertisedOf(offer: Offer): Readonly<Record<string, string | number>> {
  const { gpu, gpuCount, vramGb, vcpu, ramGb, diskGb, region, cuda, reliability } = offer;
  const facts = { gpu, gpuCount, vramGb, vcpu, ramGb, diskGb, region, cuda, reliability };
  return Object.fromEntries(
    Object.entries(facts).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** A machine of the account that no lease of ours speaks of. */
export function unmanagedPodOf(pod: ProviderPod, provider: Pod['provider'], now: Date): Pod {
  const isOurs = pod.label.startsWith('gl-');
  return {
    podId: pod.podId,
    name:
      pod.label
        .replace(/[^\w.-]+/g, ' ')
        .trim()
        .slice(0, 60) || pod.podId,
    provider,
    mode: 'unmanaged',
    status: pod.status === 'running' ? 'ready' : pod.status,
    usdPerHour: pod.usdPerHour,
    ...(pod.createdAt === undefined ? {} : { createdAt: pod.createdAt }),
    problem: isOurs
      ? 'An orphan: it carries a label of gpu-lease, but no lease here knows it. Another machine of yours may use it. update_pod with adopt takes it over.'
      : 'Not rented by this server; nothing of ours stops or destroys it. update_pod with adopt takes it over.',
    observedAt: now.toISOString(),
  };
}

export function userManagedPodOf(
  { podId, name, answers }: { podId: Pod['podId']; name: string; answers?: boolean },
  now: Date,
): Pod {
  return {
    podId,
    name,
    provider: 'ssh',
    mode: 'user_managed',
    status: answers === undefined ? 'unknown' : answers ? 'ready' : 'unreachable',
    ...(answers === undefined ? {} : { observedAt: now.toISOString() }),
  };
}

export function hasLiveJob(jobs: readonly Job[]): boolean {
  return jobs.some(({ status }) => !isTerminal(status));
}

/** What helps to choose. The numbers of the cards stand in the receipt. */
function shownOf(measured: NonNullable<Lease['measured']>): NonNullable<Lease['measured']> {
  return Object.fromEntries(Object.entries(measured).filter(([name]) => name !== 'gpuUuids'));
}
