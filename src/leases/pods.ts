import type { CallOptions } from '../core/call.ts';
import { InputError } from '../core/errors.ts';
import { localPartOf, type PodId, providerOf } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { Pod, Pods } from '../core/pods.ts';
import { poll } from '../core/poll.ts';
import { createAccountBook } from './account-book.ts';
import { adoptPod } from './adopt.ts';
import { createBootLogs } from './boot-log.ts';
import { createCreation } from './create.ts';
import { type PodsDeps, untilAborted } from './deps.ts';
import { HEARD_SECONDS, type HearPod } from './heard.ts';
import { createHosts } from './hosts.ts';
import { createIdleWatch } from './idle.ts';
import { createUsed } from './idle-use.ts';
import { createLadder } from './ladder.ts';
import { createLedger } from './ledger.ts';
import { createLeft } from './left.ts';
import { createList } from './list.ts';
import { createLooks } from './looks.ts';
import { rateOf, usd } from './money.ts';
import { createVolumeCare } from './new-volume.ts';
import { createObserver } from './observer.ts';
import { createPodTimer } from './pod-timer.ts';
import { isProcessAlive } from './process-id.ts';
import { publisherOf } from './receipt-folder.ts';
import { createEnforce, createReconcile } from './reconcile.ts';
import { createReplacer } from './replace.ts';
import { createSaveHome } from './save-home.ts';
import { createSee } from './see.ts';
import { mayBeFollowed } from './succession.ts';
import { createTeardown } from './teardown.ts';
import { createTend, type PodCare } from './tend.ts';
import { createUpdate } from './update.ts';
import { unmanagedPodOf, userManagedPodOf } from './view.ts';
import { createWarnings } from './warnings.ts';

type WaitFor = Parameters<Pods['get']>[1]['waitFor'];

/** Quotes, leases, readiness, deadlines and teardown, over whatever providers there are. */
export function createPods(deps: PodsDeps): Pods & PodCare {
  const { store, providers, remote, clock, limits, processId, isAlive = isProcessAlive } = deps;
  const creating = new Set<string>();
  const isBeingCreated = ({ state, leaseId, creator }: Lease): boolean =>
    (state === 'intended' || state === 'closing') &&
    creator !== undefined &&
    (creator === processId ? creating.has(leaseId) : isAlive(creator));
  const hosts = deps.hosts ?? createHosts({ store, clock });
  const looks = deps.looks ?? createLooks({ providers, clock });
  const accounts = deps.accounts ?? createAccountBook({ providers, clock });
  const publish = publisherOf(deps);
  const ledger = createLedger({
    store,
    clock,
    redact: deps.redact,
    isMadeUp: (name) => providers.get(name)?.isMadeUp === true,
    sealed: publish,
  });
  const observer = createObserver({
    ledger,
    providers,
    looks,
    accounts,
    clock,
    isBeingCreated,
  });
  const ladder = createLadder({ ...deps, ledger, hosts });
  const isHeard: HearPod = async (podId, { signal }) =>
    remote.exec(podId, ':', { signal, timeoutSeconds: HEARD_SECONDS }).then(
      () => true,
      () => false,
    );
  const teardown = createTeardown({ ...deps, ledger, observer, looks, accounts, isHeard });
  const timer = createPodTimer({ ledger, providers, remote });
  const bootLogs = createBootLogs(deps);
  const see = createSee({ ledger, observer, looks, ladder, timer, providers, remote, clock });
  const renting = {
    ...deps,
    ledger,
    observer,
    looks,
    accounts,
    teardown,
    creating,
    hosts,
    bootLogs,
  };
  const replacer = createReplacer(renting);
  const { rescue } = deps;
  const saveHome =
    rescue === undefined ? undefined : createSaveHome({ ...deps, ...rescue, ledger });
  const { isLeftToOthers, actor } = deps;
  const idle = createIdleWatch({ ...deps, ledger });
  const left = createLeft({ store, clock, rescueFolder: rescue?.folder });
  const care = {
    left,
    idle,
    saveHome,
    isHeard,
    isLeftToOthers,
    actor,
    ledger,
    observer,
    looks,
    accounts,
    teardown,
    providers,
    clock,
    limits,
    isBeingCreated,
  };
  const reconcile = createReconcile(care);
  const list = createList({
    store,
    providers,
    clock,
    limits,
    ledger,
    observer,
    looks,
    accounts,
    see,
    left,
  });
  const create = createCreation({ ...renting, replacer, see });
  const update = createUpdate({
    ...deps,
    ledger,
    looks,
    accounts,
    timer,
    gates: async (lease, options) => teardown.gates(lease, options),
    adopt: async (podId, ttlMinutes, options) =>
      adoptPod(podId, ttlMinutes, options, { ...deps, accounts }),
    view: async (lease) => {
      const seen = await see.see(lease);
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

  async function look(
    podId: PodId,
    waitFor: WaitFor,
    options: CallOptions,
  ): Promise<{ readonly pod: Pod; readonly lease?: Lease }> {
    const found = await ledger.find(podId);
    if (found !== undefined) {
      // Whoever waits for a pod that was replaced waits for the one in its place.
      const lease = waitFor === 'ready' ? await ledger.newest(found) : found;
      return untilAborted(see.see(lease), options.signal);
    }
    if (providerOf(podId) === 'ssh') {
      const name = localPartOf(podId);
      if ((await store.profiles.get(name)) === undefined)
        throw new InputError('not_found', 'There is no such profile.');
      const answers = await see.answers(podId);
      return { pod: userManagedPodOf({ podId, name, answers }, clock.now()) };
    }
    const pod = await providers.get(providerOf(podId))?.getPod(podId, options);
    if (pod === undefined) throw new InputError('not_found', 'There is no such pod.');
    return { pod: unmanagedPodOf(pod, providerOf(podId), clock.now()) };
  }

  return {
    create,
    list,
    update,
    destroy: teardown.destroy,
    tend: createTend({
      ledger,
      see,
      timer,
      replacer,
      volumes: createVolumeCare({ store, providers, clock, ledger, looks, accounts }),
    }),
    async get(podId, { waitFor, waitSeconds }, options) {
      let pod: Pod | undefined;
      const reached = await poll(
        async () => {
          const seen = await look(podId, waitFor, options);
          ({ pod } = seen);
          const goesOn =
            waitFor === 'ready' && seen.lease !== undefined && mayBeFollowed(seen.lease);
          return isSettled(pod, waitFor, goesOn) ? pod : undefined;
        },
        {
          ...options,
          clock,
          timeoutSeconds: waitFor === undefined ? 0 : waitSeconds,
          everySeconds: see.pollSeconds(providerOf(podId)),
        },
      );
      const last = reached ?? pod ?? (await look(podId, waitFor, options)).pod;
      return { pod: last, reached: waitFor === undefined || last.status === waitFor };
    },
    receipt: async (podId) => store.receipts.get((await ledger.find(podId))?.podId ?? podId),
    async reconcile(options) {
      // What a crash kept from being written.
      await publish();
      await reconcile(options);
    },
    enforce: createEnforce(care),
    used: createUsed({ ledger, store, clock, limits }),
    warnings: createWarnings({ store, clock, limits }),
  };
}

/** Nothing more to wait for: it came true, or it cannot any more (RE-02). */
function isSettled({ status }: Pod, waitFor: WaitFor, mayBeReplaced: boolean): boolean {
  if (waitFor === undefined || status === waitFor) return true;
  if (status !== 'gone' && !(waitFor === 'ready' && (status === 'failed' || status === 'stopped')))
    return false;
  return !mayBeReplaced;
}
