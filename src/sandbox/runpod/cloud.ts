import type { SandboxClock } from '../clock.ts';
import type { SandboxCloud } from '../cloud.ts';
import type { Faults } from '../faults.ts';
import type { FakeAnswer, FakeRequest } from '../http.ts';
import type { SandboxMachines } from '../machines.ts';
import type { Meter } from '../meter.ts';
import { createDice } from '../vast/dice.ts';
import { booksOf } from './billing.ts';
import { closePorts } from './container.ts';
import { RUNPOD_FAULTS } from './fault-kinds.ts';
import { readQuestion } from './graphql/answer.ts';
import { type Identity, identityOf } from './identity.ts';
import { createLife, type Life } from './life.ts';
import { type Cloud, drawMarket, type Host, wordOf } from './market.ts';
import { DEFAULT_OPTIONS, type RunpodOptions } from './options.ts';
import type { Pod } from './pod.ts';
import { createRateCounter } from './rate.ts';
import { answerV1 } from './rest1/api.ts';
import { answerV2 } from './rest2/api.ts';
import type { Call } from './router.ts';
import { addOfficialTemplates } from './templates.ts';
import { type Api, tooMany, wireFault, withdrawn, withFault } from './wire.ts';
import { type ApiKey, accountKeys, creditUsd, subjectOf, type World } from './world.ts';

export interface RunpodCloudDeps {
  readonly clock: SandboxClock;
  readonly machines: SandboxMachines;
  readonly meter: Meter;
  readonly faults: Faults;
  readonly seed: number;
  /** How many hosts there are. Default: 200. */
  readonly offers?: number | undefined;
  readonly random: () => number;
  readonly origin: () => string;
  readonly apiKey?: string | undefined;
  readonly creditUsd?: number | undefined;
  readonly options?: Partial<RunpodOptions> | undefined;
}

/** Which hosts are meant; what is absent is any. */
export interface HostsLike {
  readonly gpuTypeId?: string;
  readonly cloud?: Cloud;
  readonly dataCenterId?: string;
}
/** The fake RunPod, and what tests may see of it and do to it. */
export interface RunpodCloud extends SandboxCloud {
  readonly pods: ReadonlyMap<string, Pod>;
  readonly hosts: readonly Host[];
  /** Public keys of the account. */
  keys(): readonly string[];
  readonly options: RunpodOptions;
  readonly life: Life;
  /** Adds an API key and answers it. */
  addApiKey(access: Pick<ApiKey, 'graphql' | 'rest'>): string;
  /** Each of these hosts has so many GPUs from now on. */
  setStock(like: HostsLike, gpus: number): void;
  /** The API is there, or withdrawn as a whole. */
  setApi(api: Api, state: RunpodOptions['graphql']): void;
  [Symbol.asyncDispose](): Promise<void>;
}

const HOSTS = 200;

/** A RunPod on `clock`, with hosts that follow from `seed`, whose pods are `machines`. */
export function createRunpodCloud(deps: RunpodCloudDeps): RunpodCloud {
  const options: RunpodOptions = {
    ...DEFAULT_OPTIONS,
    ...deps.options,
    ...(deps.apiKey === undefined ? {} : { apiKey: deps.apiKey }),
    ...(deps.creditUsd === undefined ? {} : { creditUsd: deps.creditUsd }),
  };
  const world = createWorld(deps, options);
  const life = createLife(world);
  const count = createRateCounter(world);
  const states: Record<Api, RunpodOptions['graphql']> = {
    graphql: options.graphql,
    v1: options.restV1,
    v2: options.restV2,
  };

  const graphql = async (request: FakeRequest): Promise<FakeAnswer> => {
    if (request.method !== 'POST')
      return { status: 405, text: 'Method Not Allowed', headers: { Allow: 'POST' } };
    const identity = identityOf(world, request, true);
    if (identity === 'stranger') return { status: 401, text: 'Unauthorized' };
    const question = await readQuestion(request);
    const route = `POST /graphql ${question.roots}`.trim();
    const struck = wireFault(world, subjectIn(world, request, route));
    const work = async (): Promise<FakeAnswer> => question.answer({ world, life, identity, route });
    return struck === undefined ? work() : withFault('graphql', struck, work);
  };
  const rest = async (api: 'v1' | 'v2', request: FakeRequest): Promise<FakeAnswer> => {
    const identity = identityOf(world, request, false);
    const route = `${request.method} ${request.path}`;
    const call: Call = { world, life, request, params: [], identity, route };
    const path = request.path.slice(`/${api}`.length);
    const work = async (): Promise<FakeAnswer> =>
      api === 'v1' ? answerV1(call, path) : measured(count, call, async () => answerV2(call, path));
    const struck = wireFault(world, subjectIn(world, request, route));
    return struck === undefined ? work() : withFault(api, struck, work);
  };

  return {
    name: 'runpod',
    faultKinds: RUNPOD_FAULTS,
    pods: world.pods,
    hosts: world.hosts,
    options,
    life,
    keys: () => accountKeys(world),
    addApiKey(access) {
      const key = `rpa_${wordOf(world.dice, 40).toUpperCase()}`;
      world.apiKeys.set(key, { key, ...access });
      return key;
    },
    setStock({ gpuTypeId, cloud, dataCenterId }, gpus) {
      for (const host of world.hosts)
        if (
          (gpuTypeId === undefined || host.gpu.id === gpuTypeId) &&
          (cloud === undefined || host.cloud === cloud) &&
          (dataCenterId === undefined || host.dataCenter?.id === dataCenterId)
        )
          host.gpus = gpus;
    },
    setApi(api, state) {
      states[api] = state;
    },
    books: () => booksOf(world),
    creditUsd: () => creditUsd(world),
    addCredit(usd) {
      world.paidUsd += usd;
      life.settle();
    },
    variables: () => ({
      RUNPOD_API_KEY: options.apiKey,
      RUNPOD_GRAPHQL_URL: `${world.origin()}/graphql`,
      RUNPOD_REST_V2_API_URL: `${world.origin()}/v2`,
      RUNPOD_REST_API_URL: `${world.origin()}/v1`,
    }),
    async handle(request) {
      const api = apiOf(request.path);
      if (api === undefined) return { status: 404, text: 'Not Found' };
      const state = states[api];
      if (state !== 'on') return withdrawn(api, state);
      return api === 'graphql' ? graphql(request) : rest(api, request);
    },
    async [Symbol.asyncDispose]() {
      for (const pod of world.pods.values()) closePorts(pod);
      return Promise.resolve();
    },
  };
}

function apiOf(path: string): Api | undefined {
  if (path === '/graphql') return 'graphql';
  const [, word] = path.split('/');
  return word === 'v1' || word === 'v2' ? word : undefined;
}

/** Faults that name a GPU type or a machine strike every call about their pods. */
function subjectIn(world: World, { path, rawBody }: FakeRequest, route: string) {
  const words = `${path} ${rawBody}`.match(/[a-z0-9]{14}/g) ?? [];
  const pod = words.map((word) => world.pods.get(word)).find((one) => one !== undefined);
  return pod === undefined ? { route } : subjectOf(pod, route);
}

/** Answers to a known caller tell how much is left; one that has nothing left gets no other answer. */
async function measured(
  count: ReturnType<typeof createRateCounter>,
  { world, identity }: Call,
  work: () => Promise<FakeAnswer>,
): Promise<FakeAnswer> {
  const requestId = `req_${[8, 4, 4, 4, 12].map((length) => world.dice.hex(length)).join('-')}`;
  const known: Identity = identity;
  if (known === 'nobody' || known === 'stranger')
    return withHeaders(await work(), { 'x-request-id': requestId });
  const { headers, exhausted } = count(known.key);
  const made =
    exhausted !== undefined && world.options.rateLimits
      ? tooMany(exhausted.retrySeconds, exhausted.name)
      : await work();
  return withHeaders(made, { ...headers, 'x-request-id': requestId });
}
const withHeaders = (made: FakeAnswer, headers: Readonly<Record<string, string>>): FakeAnswer => ({
  ...made,
  headers: { ...headers, ...made.headers },
});

function createWorld(deps: RunpodCloudDeps, options: RunpodOptions): World {
  const { clock, machines, meter, faults, seed, offers = HOSTS, random, origin } = deps;
  const { apiKey } = options;
  const world: World = {
    clock,
    machines,
    meter,
    faults,
    dice: createDice(random),
    options,
    origin,
    hosts: drawMarket(seed, offers),
    pods: new Map(),
    apiKeys: new Map([[apiKey, { key: apiKey, graphql: 'write', rest: 'write' }]]),
    templates: new Map(),
    volumes: new Map(),
    registries: new Map(),
    secrets: new Map(),
    pubKey: '',
    paidUsd: options.creditUsd,
  };
  addOfficialTemplates(world);
  return world;
}
