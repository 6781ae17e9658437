import type { CallOptions, Clock } from '../core/call.ts';
import type { PodId } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { Pod } from '../core/pods.ts';
import { poll } from '../core/poll.ts';
import type { Providers } from '../core/provider.ts';
import type { Remote } from '../core/remote.ts';
import { limitOf, untilAborted } from './deps.ts';
import type { Ladder } from './ladder.ts';
import { handleOf, type Ledger } from './ledger.ts';
import type { Looks } from './looks.ts';
import type { Observer, Reading } from './observer.ts';
import type { PodTimer } from './pod-timer.ts';
import { secondsOnRung } from './rungs.ts';
import { podOf } from './view.ts';

const ANSWER_LIMIT_SECONDS = 10;
const LOCAL_POLL_SECONDS = 0.2;
/** The cloud is asked at its own pace; in between, only the pod itself is knocked at. */
const KNOCK_SECONDS = 0.5;
const CLOUD_POLL_SECONDS = 3;
const PROGRESS_SECONDS = 10;

export interface SeenPod {
  readonly lease: Lease;
  readonly pod: Pod;
}
/** Lease, provider and pod, looked at together. */
export interface See {
  /** One look at everything: the provider, the ladder, and whether a ready pod answers. */
  see(lease: Lease): Promise<SeenPod>;
  /** What a look at the provider means for the ladder, and what follows when the pod has just become ready. */
  climb(lease: Lease, reading: Reading): Promise<Lease>;
  /** Whether a command of ours runs there now. */
  answers(podId: PodId): Promise<boolean>;
  /** Looks until the pod is ready, has failed or is gone, or the time is over. */
  waitReady(lease: Lease, waitSeconds: number, options: CallOptions): Promise<SeenPod>;
  pollSeconds(provider: Pod['provider']): number;
  /** The pod that took the place of this one in the end; `undefined`: none did. */
  successorOf(lease: Lease): Promise<PodId | undefined>;
}
export interface SeeDeps {
  readonly ledger: Ledger;
  readonly observer: Observer;
  readonly looks: Looks;
  readonly ladder: Ladder;
  readonly timer: PodTimer;
  readonly providers: Providers;
  readonly remote: Remote;
  readonly clock: Clock;
}

export function createSee(deps: SeeDeps): See {
  const { ledger, observer, looks, ladder, timer, providers, remote, clock } = deps;

  async function answers(podId: PodId): Promise<boolean> {
    try {
      const signal = limitOf(ANSWER_LIMIT_SECONDS * 2);
      await remote.exec(podId, ':', { signal, timeoutSeconds: ANSWER_LIMIT_SECONDS });
      return true;
    } catch {
      return false;
    }
  }

  async function climb(lease: Lease, reading: Reading): Promise<Lease> {
    if (reading.kind !== 'present') return lease;
    const after = await ladder.climb(lease, reading.pod);
    const isNew = lease.readyAt === undefined && after.readyAt !== undefined;
    return isNew ? timer.tell(after) : after;
  }

  async function successorOf(lease: Lease): Promise<PodId | undefined> {
    if (lease.replacedBy === undefined) return undefined;
    const last = await ledger.newest(lease);
    return last.state === 'closed' && last.podId === undefined ? undefined : handleOf(last);
  }

  async function see(before: Lease): Promise<SeenPod> {
    const facts = providers.get(before.provider)?.facts;
    if (before.state === 'closed') {
      const replacedBy = await successorOf(before);
      return { lease: before, pod: podOf({ lease: before, facts, replacedBy }, clock) };
    }
    const reading = await observer.look(before, looks.paceSeconds(before.provider));
    const lease = await climb(await observer.settle(before, reading), reading);
    const isUp = reading.kind === 'present' && reading.pod.status === 'running';
    const wasReady = before.readyAt !== undefined && lease.readyAt !== undefined;
    const seen = { lease, reading, facts, replacedBy: await successorOf(lease) };
    if (!isUp || !wasReady || lease.state !== 'open') return { lease, pod: podOf(seen, clock) };
    return { lease, pod: podOf({ ...seen, answers: await answers(handleOf(lease)) }, clock) };
  }

  function pollSeconds(provider: Pod['provider']): number {
    if (provider === 'local') return LOCAL_POLL_SECONDS;
    return looks.paceSeconds(provider) > 0 ? KNOCK_SECONDS : CLOUD_POLL_SECONDS;
  }

  return {
    see,
    climb,
    answers,
    pollSeconds,
    successorOf,
    async waitReady(lease, waitSeconds, options) {
      let last: SeenPod = { lease, pod: podOf({ lease }, clock) };
      let said = '';
      await poll(
        async () => {
          last = await untilAborted(see(last.lease), options.signal);
          const seconds = secondsOnRung(last.lease, clock.now());
          const words = `Pod: ${last.lease.stage}, ${seconds - (seconds % PROGRESS_SECONDS)} s`;
          if (words !== said) options.progress?.(words);
          said = words;
          const { status } = last.pod;
          return status === 'ready' || status === 'failed' || status === 'gone' ? last : undefined;
        },
        {
          ...options,
          clock,
          timeoutSeconds: waitSeconds,
          everySeconds: pollSeconds(lease.provider),
        },
      );
      return last;
    },
  };
}
