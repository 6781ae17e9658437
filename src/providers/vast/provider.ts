import type { CallOptions, Clock } from '../../core/call.ts';
import { isLoopback } from '../../core/loopback.ts';
import type { Offer } from '../../core/offer.ts';
import type { PodRequest, Provider, ProviderPod } from '../../core/provider.ts';
import { createHttp } from '../http.ts';
import { Pacer } from '../pacer.ts';
import { type AccountDeps, checkAccount, createKeys } from './account.ts';
import { createVastApi } from './api.ts';
import { createCreation } from './create.ts';
import { VAST_FACTS } from './facts.ts';
import { isRefusal, vastFailure } from './failure.ts';
import { numberOf } from './ids.ts';
import { createLogs } from './logs.ts';
import { getVastOffer, getVastOffers, listVastOffers, type VastSearch } from './offers/search.ts';
import { BACKOFF_SECONDS, CREATE_BACKOFF_SECONDS, PACES } from './paces.ts';
import { checkPlan } from './plan.ts';
import { createBids, createPower } from './power.ts';
import { createRecentOrders } from './recent.ts';
import { toPod } from './translate.ts';
import { createVastVolumes } from './volumes.ts';
import type { Contract } from './wire.ts';

/** What runs on this machine has no neighbours: it is asked as fast as we like, and again soon. */
const LOCAL_BACKOFF = 0.1;

/** Ten searches a minute are allowed: whoever looks for offers is told so, whoever rents waits. */
const SEARCH_PATIENCE_SECONDS = 5;

export interface VastProviderDeps {
  readonly apiKey: string;
  /** An origin without a path. */
  readonly baseUrl: string;
  readonly clock: Clock;
  readonly ownPublicKey: AccountDeps['ownPublicKey'];
  /** Whether the minimum intervals are kept. By default for every cloud that is not on this machine. */
  readonly isPaced?: boolean;
}

/** Vast.ai. Opens nothing: the first call does. */
export function createVastProvider(deps: VastProviderDeps): Provider {
  const { clock, baseUrl } = deps;
  const isLocal = isLoopback(baseUrl);
  const isPaced = deps.isPaced ?? !isLocal;
  const patience = isPaced ? 1 : LOCAL_BACKOFF;
  const pacer = new Pacer(clock, isPaced ? PACES : {});
  const http = createHttp({
    cloud: 'Vast.ai',
    baseUrl,
    apiKey: deps.apiKey,
    clock,
    pacer,
    backoffSeconds: BACKOFF_SECONDS * patience,
    isRefusal,
    failureOf: vastFailure,
  });
  const api = createVastApi(http);
  const recent = createRecentOrders(clock);
  const search: VastSearch = { search: async (body, options) => api.search(body, options), clock };
  const soon: VastSearch = {
    search: async (body, options) =>
      api.search(body, { ...options, patienceSeconds: SEARCH_PATIENCE_SECONDS }),
    clock,
  };
  const podOf = (row: Contract): ProviderPod =>
    toPod(row, { now: clock.now(), recent: recent.of(row.id), isLocal });

  const priced = async (
    { offerId, diskGb, bidUsdPerHour }: Pick<PodRequest, 'offerId' | 'diskGb' | 'bidUsdPerHour'>,
    options: CallOptions,
  ): Promise<Offer | undefined> => {
    const offer = await getVastOffer(search, offerId, { diskGb }, options);
    if (offer === undefined || bidUsdPerHour === undefined) return offer;
    return { ...offer, usdPerHour: bidUsdPerHour + (offer.diskUsdPerHour ?? 0) };
  };

  return {
    name: 'vast',
    facts: VAST_FACTS,
    async listOffers(query, options) {
      options.signal.throwIfAborted();
      return listVastOffers(soon, query, options);
    },
    async getOffer(offerId, query, options) {
      options.signal.throwIfAborted();
      return getVastOffer(soon, offerId, query, options);
    },
    async getOffers(offerIds, query, options) {
      options.signal.throwIfAborted();
      return getVastOffers(search, offerIds, query, options);
    },
    checkPlan: async (offer, plan, options) => checkPlan(api, baseUrl, offer, plan, options),
    createPod: createCreation({
      api,
      clock,
      pacer,
      apiUrl: baseUrl,
      createBackoffSeconds: CREATE_BACKOFF_SECONDS * patience,
      priced,
      toPod: podOf,
    }),
    async getPod(podId, options) {
      options.signal.throwIfAborted();
      const contract = numberOf(podId);
      const row = contract === undefined ? undefined : await api.show(contract, options);
      return row === undefined ? undefined : podOf(row);
    },
    async listPods(options) {
      options.signal.throwIfAborted();
      return (await api.list(undefined, options)).map(podOf);
    },
    async terminatePod(podId, options) {
      options.signal.throwIfAborted();
      const contract = numberOf(podId);
      if (contract !== undefined) await api.destroy(contract, options);
    },
    checkAccount: async (options) =>
      checkAccount({ api, baseUrl, ownPublicKey: deps.ownPublicKey }, options),
    recall({ podId, startedAt, stoppedAt }) {
      const contract = numberOf(podId);
      if (contract === undefined) return;
      if (startedAt !== undefined) recent.recall(contract, 'start', Date.parse(startedAt));
      if (stoppedAt !== undefined) recent.recall(contract, 'stop', Date.parse(stoppedAt));
    },
    power: createPower({ api, recent }),
    keys: createKeys(api),
    logs: createLogs({ api, http, clock }),
    bids: createBids(api),
    volumes: createVastVolumes(api),
  };
}
