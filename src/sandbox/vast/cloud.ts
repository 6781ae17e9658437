import type { SandboxClock } from '../clock.ts';
import type { SandboxCloud } from '../cloud.ts';
import type { FaultSubject, Faults } from '../faults.ts';
import type { FakeAnswer, FakeRequest } from '../http.ts';
import type { SandboxMachines } from '../machines.ts';
import type { Meter } from '../meter.ts';
import { answer, failure } from './answers.ts';
import { booksOf } from './billing.ts';
import { closeDoors } from './container.ts';
import { createDice } from './dice.ts';
import { VAST_FAULTS } from './fault-kinds.ts';
import { objectOf } from './foreign.ts';
import type { Instance } from './instance.ts';
import { createLife, type Life } from './life.ts';
import { type Ask, drawMarket } from './market.ts';
import { DEFAULT_OPTIONS, type VastOptions } from './options.ts';
import { admit, keyOf } from './permissions.ts';
import { type Found, findRoute } from './routes.ts';
import { addPublicTemplates } from './templates.ts';
import { tooFrequent, wireFault, withFault } from './wire.ts';
import { creditUsd, newId, type World } from './world.ts';

export interface VastCloudDeps {
  readonly clock: SandboxClock;
  readonly machines: SandboxMachines;
  readonly meter: Meter;
  readonly faults: Faults;
  readonly seed: number;
  /** How many offers there are. Default: 200. */
  readonly offers?: number | undefined;
  readonly random: () => number;
  readonly origin: () => string;
  readonly apiKey?: string | undefined;
  readonly creditUsd?: number | undefined;
  readonly options?: Partial<VastOptions> | undefined;
}

/** The fake Vast.ai, and what tests may see of it and do to it. */
export interface VastCloud extends SandboxCloud {
  readonly instances: ReadonlyMap<number, Instance>;
  readonly asks: ReadonlyMap<number, Ask>;
  /** Public keys of the account. */
  keys(): readonly string[];
  readonly options: VastOptions;
  readonly life: Life;
  /** Adds an API key with these permissions (`{api: {...}}`; absent: all) and answers it. */
  addApiKey(permissions?: Readonly<Record<string, unknown>>, team?: boolean): string;
  [Symbol.asyncDispose](): Promise<void>;
}

const OFFERS = 200;
/** Ids begin where nobody takes them for a small number of something else. */
const FIRST_ID = 7_835_000;
const FIRST_ID_AT_SECONDS = Date.UTC(2026, 0, 1) / 1000;

/** A Vast.ai on `clock`, with a market that follows from `seed`, whose instances are `machines`. */
export function createVastCloud(deps: VastCloudDeps): VastCloud {
  const options: VastOptions = {
    ...DEFAULT_OPTIONS,
    ...deps.options,
    ...(deps.apiKey === undefined ? {} : { apiKey: deps.apiKey }),
    ...(deps.creditUsd === undefined ? {} : { creditUsd: deps.creditUsd }),
  };
  const world = createWorld(deps, options);
  const life = createLife(world);
  const limiter = createLimiter(world);

  const addApiKey: VastCloud['addApiKey'] = (permissions, team = false) => {
    const id = newId(world);
    const key = world.dice.hex(64);
    world.apiKeys.set(id, { id, key, name: `key-${id}`, permissions, team });
    return key;
  };

  const serve = async (request: FakeRequest, found: Found, line: string): Promise<FakeAnswer> => {
    const admission = admit(world, request, found);
    if ('refused' in admission) return admission.refused;
    const limited = limiter(request, found);
    if (limited !== undefined) return limited;
    const { route, params } = found;
    const body = objectOf(request.body);
    const { identity } = admission;
    return route.handle({ world, life, request, body, params, identity, route: line });
  };

  return {
    name: 'vast',
    faultKinds: VAST_FAULTS,
    instances: world.instances,
    asks: world.asks,
    options,
    life,
    addApiKey,
    keys: () => [...world.accountKeys.values()].map(({ publicKey }) => publicKey),
    books: () => booksOf(world),
    creditUsd: () => creditUsd(world),
    addCredit(usd) {
      world.paidUsd += usd;
      life.settle();
    },
    variables: () => ({ VAST_API_KEY: options.apiKey, VAST_URL: world.origin() }),
    async handle(request) {
      const found = findRoute(request.method, request.path);
      if (found === undefined)
        return answer({ success: false, error: 'not_found', msg: 'Not Found' }, 404);
      if (hasBrokenBody(request, found))
        return failure(400, 'invalid_request', 'Invalid json body');
      const line = `${request.method} ${request.path}`;
      const work = async (): Promise<FakeAnswer> => serve(request, found, line);
      const struck = wireFault(world, subjectOfRequest(world, found, line));
      if (struck === undefined) return work();
      return withFault(struck, found.route.method === 'DELETE', work);
    },
    async [Symbol.asyncDispose]() {
      for (const instance of world.instances.values()) closeDoors(instance);
      return Promise.resolve();
    },
  };
}

/** Commands answer 483 for it themselves. */
const hasBrokenBody = ({ body, rawBody }: FakeRequest, { route }: Found): boolean =>
  rawBody.trim() !== '' && body === undefined && !route.path.includes('/command/');

/** Faults that name an offer or a machine strike every call about them. */
function subjectOfRequest(world: World, { route, params }: Found, line: string): FaultSubject {
  const id = Number(params[0]);
  const ask = route.path.startsWith('api/v0/asks/')
    ? world.asks.get(id)
    : route.path.startsWith('api/v0/instances/')
      ? world.instances.get(id)?.ask
      : undefined;
  return ask === undefined
    ? { route: line }
    : { route: line, offerId: String(ask.id), machineId: String(ask.machine.machineId) };
}

function createWorld(deps: VastCloudDeps, options: VastOptions): World {
  const { clock, machines, meter, faults, seed, offers = OFFERS, random, origin } = deps;
  const asks = drawMarket(seed, offers, clock.nowSeconds());
  const world: World = {
    clock,
    machines,
    meter,
    faults,
    dice: createDice(random),
    options,
    origin,
    asks: new Map(asks.map((ask) => [ask.id, ask])),
    instances: new Map(),
    accountKeys: new Map(),
    apiKeys: new Map([[1, { id: 1, key: options.apiKey, name: 'main', permissions: undefined }]]),
    templates: new Map(),
    volumes: new Map(),
    secrets: new Map(),
    logFiles: new Map(),
    paidUsd: options.creditUsd,
    // A later sandbox gives later ids, so that whoever remembers pods of an earlier one takes none for another.
    nextId: FIRST_ID + Math.max(0, Math.floor(clock.nowSeconds() - FIRST_ID_AT_SECONDS)),
  };
  addPublicTemplates(world);
  return world;
}

/** Times are floating seconds: what is a second apart may be a hair less. */
const CLOCK_ERROR = 0.001;

/** Holds callers to the least time between two calls, or the most in a minute, where that is switched on. */
function createLimiter(
  world: World,
): (request: FakeRequest, found: Found) => FakeAnswer | undefined {
  /** When the calls of a caller began that still count. */
  const begun = new Map<string, readonly number[]>();
  return (request, { route }) => {
    const { threshold, perMinute } = route;
    const seconds = perMinute === undefined ? threshold : 60;
    if (!world.options.rateLimits || seconds === undefined) return undefined;
    const caller = `${route.method} ${route.path} ${keyOf(request) ?? ''}`;
    const now = world.clock.nowSeconds();
    const counted = (begun.get(caller) ?? []).filter((at) => now - at < seconds - CLOCK_ERROR);
    if (counted.length >= (perMinute ?? 1))
      return tooFrequent(
        seconds / (perMinute ?? 1),
        world.options.rateLimitBody,
        route.method === 'DELETE',
      );
    begun.set(caller, [...counted, now]);
    return undefined;
  };
}
