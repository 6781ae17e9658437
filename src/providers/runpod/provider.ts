import type { CallOptions, Clock } from '../../core/call.ts';
import type { OfferId } from '../../core/ids.ts';
import { isLoopback } from '../../core/loopback.ts';
import type { Offer } from '../../core/offer.ts';
import type { Provider, ProviderPod } from '../../core/provider.ts';
import { type AccountDeps, checkAccount, createKeys } from './account.ts';
import { createAccountApi } from './account-api.ts';
import { availabilityRows } from './availability.ts';
import { createCatalogApi } from './catalog-api.ts';
import { createCreation } from './create.ts';
import { RUNPOD_FACTS } from './facts.ts';
import { nameOf } from './ids.ts';
import { createLogs } from './logs.ts';
import { type OfferKey, offerKeyOf } from './offer-id.ts';
import { offersOf, rowFor, toOffer } from './offers.ts';
import { createPodOrders } from './orders.ts';
import { checkPlan } from './plan.ts';
import { createPodApi } from './pod-api.ts';
import { createBids, createPower } from './power.ts';
import type { PrepareDeps, Sold } from './prepare.ts';
import { createRecent } from './recent.ts';
import type { PodRow } from './rows.ts';
import { DEFAULT_TEMPLATE } from './templates.ts';
import { toPod } from './translate.ts';
import { createTransport, type RunpodAddresses } from './transport.ts';
import { createVolumeApi } from './volume-api.ts';
import { createStorageMemory, createVolumes } from './volumes.ts';

const BACKOFF_SECONDS = 5;
/** What runs on this machine has no neighbours: it is asked again soon. */
const LOCAL_BACKOFF = 0.1;

export interface RunpodProviderDeps extends RunpodAddresses {
  readonly apiKey: string;
  readonly clock: Clock;
  readonly ownPublicKey: AccountDeps['ownPublicKey'];
  /** Taken where neither an image nor a template is asked for. */
  readonly defaultTemplate?: string | undefined;
  /** The gateway carries a shell in a terminal and nothing else; some would rather not have it tried. */
  readonly hasGateway?: boolean | undefined;
  /** The login on the pods; absent: root, and once the other usual one. */
  readonly sshUser?: string | undefined;
}

/** RunPod, over GraphQL and REST v2. Opens nothing: the first call does. */
export function createRunpodProvider(deps: RunpodProviderDeps): Provider {
  const { clock, graphqlUrl, restUrl, apiKey } = deps;
  const isLocal = isLoopback(graphqlUrl);
  const transport = createTransport(deps);
  const catalogApi = createCatalogApi(transport);
  const accountApi = createAccountApi(transport);
  const pods = createPodApi(transport);
  const volumeApi = createVolumeApi(transport);
  const orders = createPodOrders(transport, pods);
  const recent = createRecent(clock);
  const storage = createStorageMemory(clock);
  // The gateway belongs to the real RunPod: pods of a made-up one are not behind it.
  const hasGateway = (deps.hasGateway ?? true) && !isLocal;
  const rules = { isLocal, hasGateway, user: deps.sshUser };
  const podOf = (row: PodRow): ProviderPod | undefined =>
    toPod(recent.steady(row), { ...rules, now: clock.now(), recent: recent.of(row.id) });

  async function soldFor(
    keys: readonly OfferKey[],
    diskGb: number,
    options: CallOptions,
  ): Promise<readonly (Sold | undefined)[]> {
    const counts = [...new Set(keys.map(({ gpuCount }) => gpuCount))];
    const read = await Promise.all(
      counts.map(async (count) => {
        const rows = availabilityRows(await catalogApi.catalog(count, options), storage.all());
        return [count, rows] as const;
      }),
    );
    const byCount = new Map(read);
    return keys.map((key) => {
      const { gpuCount, isSpot: interruptible } = key;
      const row = rowFor(byCount.get(gpuCount) ?? [], key);
      if (row?.isAvailable !== true) return undefined;
      const offer = toOffer(row, gpuCount, { diskGb, interruptible, gpuCount });
      return offer === undefined ? undefined : { gpu: row.gpu, offer };
    });
  }
  const offersFor = async (
    offerIds: readonly OfferId[],
    diskGb: number,
    options: CallOptions,
  ): Promise<readonly Offer[]> => {
    options.signal.throwIfAborted();
    const keys = offerIds.map(offerKeyOf).filter((key) => key !== undefined);
    const sold = keys.length === 0 ? [] : await soldFor(keys, diskGb, options);
    return sold.flatMap((each) => (each === undefined ? [] : [each.offer]));
  };

  const prepareDeps: PrepareDeps = {
    ...deps,
    api: catalogApi,
    transport,
    clock,
    apiKey,
    defaultTemplate: deps.defaultTemplate ?? DEFAULT_TEMPLATE,
    sold: async (key, diskGb, options) => (await soldFor([key], diskGb, options))[0],
  };
  const backoffSeconds = BACKOFF_SECONDS * (isLocal ? LOCAL_BACKOFF : 1);

  return {
    name: 'runpod',
    facts: RUNPOD_FACTS,
    async listOffers(query, options) {
      options.signal.throwIfAborted();
      const catalog = await catalogApi.catalog(Math.max(1, query.gpuCount), options);
      return offersOf(catalog, query, storage.all());
    },
    getOffer: async (offerId, { diskGb }, options) =>
      (await offersFor([offerId], diskGb, options))[0],
    getOffers: async (offerIds, { diskGb }, options) => offersFor(offerIds, diskGb, options),
    checkPlan: async (offer, plan, options) =>
      checkPlan(
        {
          ...prepareDeps,
          graphqlUrl,
          restUrl,
          volumeApi,
          storage,
          catalog: async (count, read) => catalogApi.catalog(count, read),
        },
        offer,
        plan,
        options,
      ),
    createPod: createCreation({
      ...prepareDeps,
      pods,
      orders,
      volumeApi,
      storage,
      backoffSeconds,
      toPod: podOf,
    }),
    async getPod(podId, options) {
      options.signal.throwIfAborted();
      const name = nameOf(podId);
      const row = name === undefined ? undefined : await pods.pod(name, options);
      return row === undefined ? undefined : podOf(row);
    },
    async listPods(options) {
      options.signal.throwIfAborted();
      return (await pods.pods(options)).map(podOf).filter((pod) => pod !== undefined);
    },
    async terminatePod(podId, options) {
      options.signal.throwIfAborted();
      const name = nameOf(podId);
      if (name !== undefined) await orders.terminate(name, options);
    },
    checkAccount: async (options) =>
      checkAccount({ api: accountApi, ownPublicKey: deps.ownPublicKey }, options),
    recall({ podId, startedAt, stoppedAt }) {
      const pod = nameOf(podId);
      if (pod === undefined) return;
      if (startedAt !== undefined) recent.recall(pod, 'start', Date.parse(startedAt));
      if (stoppedAt !== undefined) recent.recall(pod, 'stop', Date.parse(stoppedAt));
    },
    power: createPower({ api: pods, orders, recent }),
    keys: createKeys(accountApi),
    logs: createLogs(transport),
    bids: createBids({ api: pods, orders, recent }),
    volumes: createVolumes(volumeApi),
  };
}
