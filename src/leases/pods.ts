import type { CallOptions } from '../core/call.ts';
import { InputError } from '../core/errors.ts';
import { localPartOf, type PodId, providerOf } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { Pod, Pods } from '../core/pods.ts';
import { poll } from '../core/poll.ts';
import { adoptPod } from './adopt.ts';
import { createCreation } from './create.ts';
import { limitOf, type PodsDeps, untilAborted } from './deps.ts';
import { createLadder } from './ladder.ts';
import { createLedger, handleOf } from './ledger.ts';
import { createList } from './list.ts';
import { rateOf, usd } from './money.ts';
import { createObserver, type Reading } from './observer.ts';
import { isProcessAlive } from './process-id.ts';
import { createEnforce, createReconcile } from './reconcile.ts';
import { createTeardown } from './teardown.ts';
import { createUpdate } from './update.ts';
import { podOf, unmanagedPodOf, userManagedPodOf } from './view.ts';

const ANSWER_LIMIT_SECONDS = 10;
const CLOUD_POLL_SECONDS = 3;
const LOCAL_POLL_SECONDS = 0.2;

type WaitFor = Parameters<Pods['get']>[1]['waitFor'];

/** Quotes, leases, readiness, deadlines and teardown, over whatever providers there are. */
export function createPods(deps: PodsDeps): Pods {
  const { store, providers, remote, clock, processId, isAlive = isProcessAlive } = deps;
  const creating = new Set<string>();
  const isBeingCreated = ({ state, leaseId, creator }: Lease): boolean =>
    (state === 'intended' || state === 'closing') &&
    creator !== undefined &&
    (creator === processId ? creating.has(leaseId) : isAlive(creator));
  const ledger = createLedger({ store, clock });
  const observer = createObserver({ ledger, providers, clock, isBeingCreated });
  const ladder = createLadder({ ledger, remote, clock });
  const teardown = createTeardown({ ...deps, ledger, observer });
  const care = { ledger, observer, teardown, providers, clock, isBeingCreated };

  const climb = async (lease: Lease, reading: Reading): Promise<Lease> =>
    reading.kind === 'present' ? ladder.climb(lease, reading.pod) : lease;

  async function answers(podId: PodId): Promise<boolean> {
    try {
      const signal = limitOf(ANSWER_LIMIT_SECONDS * 2);
      await remote.exec(podId, ':', { signal, timeoutSeconds: ANSWER_LIMIT_SECONDS });
      return true;
    } catch {
      return false;
    }
  }

  /** One look at everything: the provider, the ladder, and whether a ready pod answers. */
  async function see(before: Lease): Promise<{ readonly lease: Lease; readonly pod: Pod }> {
    const facts = providers.get(before.provider)?.facts;
    if (before.state === 'closed')
      return { lease: before, pod: podOf({ lease: before, facts }, clock) };
    const reading = await observer.look(before);
    const lease = await climb(await observer.settle(before, reading), reading);
    const isUp = reading.kind === 'present' && reading.pod.status === 'running';
    const wasReady = before.readyAt !== undefined && lease.readyAt !== undefined;
    const seen = { lease, reading, facts };
    if (!isUp || !wasReady || lease.state !== 'open') return { lease, pod: podOf(seen, clock) };
    return { lease, pod: podOf({ ...seen, answers: await answers(handleOf(lease)) }, clock) };
  }

  async function waitReady(
    lease: Lease,
    waitSeconds: number,
    options: CallOptions,
  ): Promise<{ readonly lease: Lease; readonly pod: Pod }> {
    let last = { lease, pod: podOf({ lease }, clock) };
    let stage = '';
    await poll(
      async () => {
        last = await untilAborted(see(last.lease), options.signal);
        if (last.lease.stage !== stage) options.progress?.(`Pod: ${last.lease.stage}`);
        stage = last.lease.stage;
        return last.pod.status === 'ready' ||
          last.pod.status === 'failed' ||
          last.pod.status === 'gone'
          ? last
          : undefined;
      },
      { ...options, clock, timeoutSeconds: waitSeconds, everySeconds: pollSeconds(lease.provider) },
    );
    return last;
  }

  const list = createList({ store, providers, clock, ledger, observer, climb });
  const create = createCreation({
    ...deps,
    ledger,
    observer,
    teardown,
    creating,
    waitReady,
  });
  const update = createUpdate({
    ...deps,
    ledger,
    adopt: async (podId, ttlMinutes, options) => adoptPod(podId, ttlMinutes, options, deps),
    view: async (lease) => {
      const seen = await see(lease);
      return { pod: seen.pod, stillCharged: stillCharged(seen.lease, seen.pod) };
    },
  });

  function stillCharged(lease: Lease, { status }: Pod): string {
    if (lease.usdPerHour === 0) return 'Nothing: this pod is free.';
    if (lease.stoppedAt === undefined || status === 'ready')
      return `${usd(lease.usdPerHour)} an hour until it is destroyed, at the latest at ${lease.deadlineAt}.`;
    const words = providers.get(lease.provider)?.facts.stoppedCharges ?? 'Its disk.';
    const rate = lease.offer.usdPerHourStopped;
    return rate === undefined
      ? `${words} Counted here at the full price, since the provider names none for stopped pods.`
      : `${words} ${usd(rateOf(lease))} an hour, ${usd(rateOf(lease) * 24)} a day, until it is destroyed.`;
  }

  async function look(podId: PodId, options: CallOptions): Promise<Pod> {
    const lease = await ledger.find(podId);
    if (lease !== undefined) return (await untilAborted(see(lease), options.signal)).pod;
    if (providerOf(podId) === 'ssh') {
      const name = localPartOf(podId);
      if ((await store.profiles.get(name)) === undefined)
        throw new InputError('not_found', 'There is no such profile.');
      return userManagedPodOf({ podId, name, answers: await answers(podId) }, clock.now());
    }
    const pod = await providers.get(providerOf(podId))?.getPod(podId, options);
    if (pod === undefined) throw new InputError('not_found', 'There is no such pod.');
    return unmanagedPodOf(pod, providerOf(podId), clock.now());
  }

  return {
    create,
    list,
    update,
    destroy: teardown.destroy,
    async get(podId, { waitFor, waitSeconds }, options) {
      let pod: Pod | undefined;
      const reached = await poll(
        async () => {
          pod = await look(podId, options);
          return isSettled(pod, waitFor) ? pod : undefined;
        },
        {
          ...options,
          clock,
          timeoutSeconds: waitFor === undefined ? 0 : waitSeconds,
          everySeconds: pollSeconds(providerOf(podId)),
        },
      );
      const last = reached ?? pod ?? (await look(podId, options));
      return { pod: last, reached: waitFor === undefined || last.status === waitFor };
    },
    receipt: async (podId) => store.receipts.get((await ledger.find(podId))?.podId ?? podId),
    reconcile: createReconcile(care),
    enforce: createEnforce(care),
  };
}

/** Nothing more to wait for: it came true, or it cannot any more (RE-02). */
function isSettled({ status }: Pod, waitFor: WaitFor): boolean {
  if (waitFor === undefined || status === waitFor || status === 'gone') return true;
  return waitFor === 'ready' && (status === 'failed' || status === 'stopped');
}

function pollSeconds(provider: Pod['provider']): number {
  return provider === 'local' ? LOCAL_POLL_SECONDS : CLOUD_POLL_SECONDS;
}
