import type { CallOptions, Clock } from '../../core/call.ts';
import { InputError } from '../../core/errors.ts';
import type { PodId } from '../../core/ids.ts';
import { isLoopback } from '../../core/loopback.ts';
import type { Provider, ProviderPod } from '../../core/provider.ts';
import { createHttp } from '../http.ts';
import { Pacer } from '../pacer.ts';
import { type AccountDeps, checkAccount, createKeys } from './account.ts';
import { createLambdaApi } from './api.ts';
import { createCreation } from './create.ts';
import { LAMBDA_FACTS } from './facts.ts';
import { lambdaFailure } from './failure.ts';
import { createFileSystems } from './file-systems.ts';
import { instanceIdOf, isPlainId } from './ids.ts';
import { getLambdaOffers, listLambdaOffers } from './offers.ts';
import { BACKOFF_SECONDS, LAUNCH_BACKOFF_SECONDS, PACES } from './paces.ts';
import { checkPlan } from './plan.ts';
import { createLaunches } from './recent.ts';
import { terminate } from './terminate.ts';
import { isEnded, toPod } from './translate.ts';
import type { Instance } from './wire.ts';

/** What runs on this machine has no neighbours: it is asked as fast as we like, and again soon. */
const LOCAL_PATIENCE = 0.02;
const UNPACED = { turn: async () => Promise.resolve(), hold: () => undefined };
/** One request a second is all there is: whoever looks for offers is told so, whoever rents waits. */
const OFFERS_PATIENCE_SECONDS = 5;

export interface LambdaProviderDeps {
  readonly apiKey: string;
  /** An origin without a path. */
  readonly baseUrl: string;
  readonly clock: Clock;
  readonly ownPublicKey: AccountDeps['ownPublicKey'];
  /** Whether the minimum intervals are kept. By default for every cloud that is not on this machine. */
  readonly isPaced?: boolean;
}

/** Lambda Cloud. Opens nothing: the first call does. */
export function createLambdaProvider(deps: LambdaProviderDeps): Provider {
  const { clock, baseUrl } = deps;
  const isLocal = isLoopback(baseUrl);
  const isPaced = deps.isPaced ?? !isLocal;
  const patience = isPaced ? 1 : LOCAL_PATIENCE;
  const pacer = new Pacer(clock, isPaced ? PACES : {});
  const http = createHttp({
    cloud: 'Lambda',
    baseUrl,
    apiKey: deps.apiKey,
    clock,
    pacer,
    backoffSeconds: BACKOFF_SECONDS * patience,
    failureOf: lambdaFailure,
  });
  const api = createLambdaApi(http, isPaced ? pacer : UNPACED);
  const launches = createLaunches(clock);
  const podOf = (row: Instance): ProviderPod => {
    launches.settle(row.id);
    return toPod(row, isLocal);
  };

  return {
    name: 'lambda',
    facts: LAMBDA_FACTS,
    async listOffers(query, options) {
      options.signal.throwIfAborted();
      const patient = { ...options, patienceSeconds: OFFERS_PATIENCE_SECONDS };
      return listLambdaOffers(api, query, patient);
    },
    async getOffer(offerId, query, options) {
      options.signal.throwIfAborted();
      return (await getLambdaOffers(api, [offerId], query, options))[0];
    },
    async getOffers(offerIds, query, options) {
      options.signal.throwIfAborted();
      return getLambdaOffers(api, offerIds, query, options);
    },
    checkPlan: async (offer, plan, options) => checkPlan(api, offer, plan, options),
    createPod: createCreation({
      api,
      clock,
      pacer,
      launches,
      patience,
      isLocal,
      launchBackoffSeconds: LAUNCH_BACKOFF_SECONDS * patience,
    }),
    async getPod(podId, options) {
      options.signal.throwIfAborted();
      const id = instanceIdOf(podId);
      const row = id === undefined ? undefined : await api.instance(id, options);
      if (row !== undefined) return isEnded(row) ? undefined : podOf(row);
      return id === undefined ? undefined : launches.young(id);
    },
    async listPods(options) {
      options.signal.throwIfAborted();
      const rows = await api.instances(options);
      return rows.filter((row) => !isEnded(row) && isPlainId(row.id)).map(podOf);
    },
    async terminatePod(podId, options) {
      options.signal.throwIfAborted();
      const id = instanceIdOf(podId);
      if (id !== undefined) await terminate({ api, launches }, id, options);
    },
    recall({ podId, createdAt = '', ...pod }) {
      const id = instanceIdOf(podId);
      if (id !== undefined)
        launches.recall(
          id,
          { podId, ...pod, status: 'provisioning', createdAt },
          Date.parse(createdAt),
        );
    },
    restartPod: async (podId, options) => restart(podId, options),
    checkAccount: async (options) =>
      checkAccount({ api, ownPublicKey: deps.ownPublicKey }, options),
    keys: createKeys(api),
    volumes: createFileSystems(api),
  };

  async function restart(podId: PodId, options: CallOptions): Promise<void> {
    options.signal.throwIfAborted();
    const id = instanceIdOf(podId);
    if (id === undefined) throw new InputError('not_found', `No Lambda pod has the id ${podId}.`);
    await api.restart(id, options);
  }
}
