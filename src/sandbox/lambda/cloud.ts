import { Buffer } from 'node:buffer';
import type { SandboxCloud } from '../cloud.ts';
import type { FaultSubject } from '../faults.ts';
import type { FakeAnswer, FakeRequest } from '../http.ts';
import type { CloudParts } from '../sandbox.ts';
import { createDice } from '../vast/dice.ts';
import { objectOf, textOf } from '../vast/foreign.ts';
import { badKey, invalid, refusal } from './answers.ts';
import { booksOf } from './billing.ts';
import { freeAtFirst } from './catalog.ts';
import { LAMBDA_FAULTS } from './fault-kinds.ts';
import type { Instance } from './instance.ts';
import { createLife } from './life.ts';
import { DEFAULT_OPTIONS, type LambdaOptions } from './options.ts';
import { findRoute, LAUNCH } from './routes.ts';
import { tooOften, wireFault, withFault } from './wire.ts';
import { creditUsd, subjectOf, type World } from './world.ts';

export interface LambdaCloudDeps extends CloudParts {
  readonly options?: Partial<LambdaOptions> | undefined;
}
/** The fake Lambda Cloud, and what tests may see of it and do to it. */
export interface LambdaCloud extends SandboxCloud {
  readonly options: LambdaOptions;
  readonly instances: ReadonlyMap<string, Instance>;
  /** "gpu_1x_a10@us-west-1" of all that is free. Tests may add and take away. */
  readonly free: Set<string>;
  /** Public keys of the account. */
  keys(): readonly string[];
}

const MOST_PLACES = 10_000;
const GENERAL_SECONDS = 1;
const LAUNCH_SECONDS = 12;
const DEFAULT_RULES = [
  { protocol: 'icmp', source_network: '0.0.0.0/0', description: 'Allow ICMP' },
  { protocol: 'tcp', port_range: [22, 22], source_network: '0.0.0.0/0', description: 'Allow SSH' },
];

/** A Lambda Cloud on `clock`, whose capacity follows from `seed` and whose instances are `machines`. */
export function createLambdaCloud(deps: LambdaCloudDeps): LambdaCloud {
  const options: LambdaOptions = {
    ...DEFAULT_OPTIONS,
    ...deps.options,
    ...(deps.apiKey === undefined ? {} : { apiKey: deps.apiKey }),
    ...(deps.creditUsd === undefined ? {} : { creditUsd: deps.creditUsd }),
  };
  const { clock, machines, meter, faults, origin } = deps;
  const world: World = {
    clock,
    machines,
    meter,
    faults,
    dice: createDice(deps.random),
    options,
    origin,
    free: new Set(freeAtFirst(deps.seed, deps.offers ?? MOST_PLACES)),
    priceFactors: new Map(),
    keys: new Map(),
    fileSystems: new Map(),
    instances: new Map(),
    firewallRules: DEFAULT_RULES,
    paidUsd: options.creditUsd,
  };
  const life = createLife(world);
  const isTooSoon = createLimiter(world);

  const serve = async (request: FakeRequest): Promise<FakeAnswer> => {
    if (!isKeyOf(request, options.apiKey)) return badKey();
    if (isTooSoon(request)) return tooOften(options);
    const found = findRoute(request.method, request.path);
    if (found === undefined)
      return refusal(404, 'global/not-found', 'The requested resource was not found.');
    if (request.rawBody.trim() !== '' && request.body === undefined) return invalid();
    const line = `${request.method} ${request.path}`;
    const body = objectOf(request.body);
    return found.route.handle({ world, life, request, body, id: found.id, route: line });
  };

  return {
    name: 'lambda',
    faultKinds: LAMBDA_FAULTS,
    options,
    instances: world.instances,
    free: world.free,
    keys: () => [...world.keys.values()].map(({ publicKey }) => publicKey),
    books: () => booksOf(world),
    creditUsd: () => creditUsd(world),
    addCredit(usd) {
      world.paidUsd += usd;
    },
    variables: () => ({ LAMBDA_API_KEY: options.apiKey, LAMBDA_API_URL: world.origin() }),
    async handle(request) {
      const work = async (): Promise<FakeAnswer> => serve(request);
      const struck = wireFault(world, subjectOfRequest(world, request));
      return struck === undefined ? work() : withFault(struck, options, work);
    },
    async [Symbol.asyncDispose]() {
      for (const { door } of world.instances.values()) door?.wallUp();
      return Promise.resolve();
    },
  };
}

/** `Bearer KEY`, `Basic` of "KEY:", or `Basic KEY` as it is. */
function isKeyOf({ headers }: FakeRequest, apiKey: string): boolean {
  const [scheme = '', word = ''] = (headers['authorization'] ?? '').split(' ');
  if (scheme.toLowerCase() === 'bearer') return word === apiKey;
  if (scheme.toLowerCase() !== 'basic') return false;
  return word === apiKey || Buffer.from(word, 'base64').toString() === `${apiKey}:`;
}

/** Faults that name an offer or a machine strike every call about them. */
function subjectOfRequest(world: World, { method, path, body }: FakeRequest): FaultSubject {
  const route = `${method} ${path}`;
  const fields = objectOf(body);
  if (path === LAUNCH) {
    const [type = '', region = ''] = ['instance_type_name', 'region_name'].map(
      (name) => textOf(fields[name]) ?? '',
    );
    return { route, offerId: `${type}@${region}` };
  }
  const ids: unknown = fields['instance_ids'];
  const id = Array.isArray(ids) ? textOf(ids[0]) : path.split('/').at(-1);
  const instance = world.instances.get(id ?? '');
  return instance === undefined ? { route } : subjectOf(instance, route);
}

/** One request a second, one launch in twelve, where that is switched on. */
function createLimiter(world: World): (request: FakeRequest) => boolean {
  const last = { any: Number.NEGATIVE_INFINITY, launch: Number.NEGATIVE_INFINITY };
  return ({ path }) => {
    if (!world.options.rateLimits) return false;
    const now = world.clock.nowSeconds();
    const isLaunch = path === LAUNCH;
    if (now - last.any < GENERAL_SECONDS || (isLaunch && now - last.launch < LAUNCH_SECONDS))
      return true;
    last.any = now;
    if (isLaunch) last.launch = now;
    return false;
  };
}
