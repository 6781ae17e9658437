import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Clock, systemClock } from '../../src/core/call.ts';
import { isAppError } from '../../src/core/errors.ts';
import { podIdSchema, randomToken } from '../../src/core/ids.ts';
import type { Offer } from '../../src/core/offer.ts';
import { poll } from '../../src/core/poll.ts';
import type { PodRequest, Provider } from '../../src/core/provider.ts';
import type { Http } from '../../src/providers/http.ts';
import { createVastApi, type VastApi } from '../../src/providers/vast/api.ts';
import { createVastProvider } from '../../src/providers/vast/provider.ts';
import * as wire from '../../src/providers/vast/wire.ts';
import { type Deviation, openApiOf } from '../support/openapi.ts';
import { type Exchange, startRecordingProxy } from '../support/recording-proxy.ts';
import { startVastSandbox, type VastSandbox } from '../support/vast-sandbox.ts';
import { ANY_OFFER } from './provider-contract.ts';

/**
 * Where the published description is known to be wrong. Each one has to explain something in this run: a stale one fails.
 */
const DEVIATIONS: readonly Deviation[] = [
  // The search: "on-demand", as its own example says; any number of columns to sort by.
  { where: 'POST /api/v0/bundles request', at: '/type', keyword: 'enum', source: 'vast.md 3.3' },
  {
    where: 'POST /api/v0/bundles request',
    at: '/order',
    keyword: 'minItems',
    source: 'vast.md 3.3',
  },
  // The creation: env is an object, and a template brings its image.
  {
    where: 'PUT /api/v0/asks/{id} request',
    at: '/env',
    keyword: 'type',
    source: 'vast.md 4.1, 16.11',
  },
  { where: 'PUT /api/v0/asks/{id} request', at: '', keyword: 'required', source: 'vast.md 4.1' },
  { where: 'PUT /api/v0/asks/{id} 400', at: '/error', keyword: 'enum', source: 'vast.md 1.4, 4.6' },
  // The instance: pairs, an object by port, null where nobody knows, null for one that is gone.
  { where: 'GET /api/v0/instances/{id} 200', at: '/instances/extra_env', source: 'vast.md 5.3' },
  { where: 'GET /api/v0/instances/{id} 200', at: '/instances/ports', source: 'vast.md 5.3, 16.14' },
  { where: 'GET /api/v0/instances/{id} 200', at: '/instances/cpu_cores', source: 'vast.md 3.5' },
  { where: 'GET /api/v0/instances/{id} 200', at: '/instances/geolocation', source: 'vast.md 3.5' },
  {
    where: 'GET /api/v0/instances/{id} 200',
    at: '/instances',
    keyword: 'type',
    source: 'vast.md 5.1, 16.2',
  },
  { where: 'GET /api/v1/instances 200', at: '/instances/*/cpu_cores', source: 'vast.md 3.5' },
  { where: 'GET /api/v1/instances 200', at: '/instances/*/geolocation', source: 'vast.md 3.5' },
  // Volumes: what the official tool asks with.
  { where: 'GET /api/v0/volumes request', at: '?owner', source: 'vast.md 12' },
  { where: 'GET /api/v0/volumes request', at: '?type', source: 'vast.md 12' },
  { where: 'DELETE /api/v0/volumes request', at: '?id', source: 'vast.md 2, 12' },
  {
    where: 'DELETE /api/v0/volumes 404',
    at: '/error',
    keyword: 'enum',
    source: 'vast.md 1.4, 16.2',
  },
  // A key that is not accepted is a 404 anywhere.
  ...[
    'GET /api/v1/instances 404',
    'GET /api/v0/instances/{id} 404',
    'PUT /api/v0/instances/reboot/{id} 404',
    'GET /api/v0/users/current 404',
    'GET /api/v0/template 404',
    'GET /api/v0/volumes 404',
    'POST /api/v0/volumes/search 404',
  ].map((where) => ({ where, at: '', source: 'vast.md 1.4, 16.2' })),
  // And so are limits.
  ...[
    'POST /api/v0/bundles 429',
    'PUT /api/v0/instances/request_logs/{id} 429',
    'GET /api/v0/ssh 429',
    'POST /api/v0/instances/{id}/ssh 429',
    'GET /api/v0/users/current 429',
  ].map((where) => ({ where, at: '', source: 'vast.md 1.5' })),
];

const { signal } = new AbortController();
const PUBLIC_KEY = `ssh-ed25519 ${'A'.repeat(68)} test`;
const SPEED = 60;
const BEGIN = Date.now();
/** As fast as the time of the sandbox. */
const clock: Clock = {
  now: () => new Date(BEGIN + (Date.now() - BEGIN) * SPEED),
  sleep: async (seconds, options) => systemClock.sleep(seconds / SPEED, options),
};
const api = openApiOf('vast-openapi.yaml', DEVIATIONS);
if (api === undefined)
  process.stdout.write('vast-openapi.yaml is not here: only our own schemas are held against.\n');

/** Every method of the client, and the call of the wire behind it. */
const CALLS: Readonly<Record<keyof VastApi, string>> = {
  search: 'POST /api/v0/bundles/',
  create: 'PUT /api/v0/asks/N/',
  show: 'GET /api/v0/instances/N/',
  list: 'GET /api/v1/instances/',
  setState: 'PUT /api/v0/instances/N/',
  start: 'PUT /api/v0/instances/N/',
  reboot: 'PUT /api/v0/instances/reboot/N/',
  destroy: 'DELETE /api/v0/instances/N/',
  bid: 'PUT /api/v0/instances/bid_price/N/',
  requestLogs: 'PUT /api/v0/instances/request_logs/N/',
  accountKeys: 'GET /api/v0/ssh/',
  addAccountKey: 'POST /api/v0/ssh/',
  addPodKey: 'POST /api/v0/instances/N/ssh/',
  templates: 'GET /api/v0/template/',
  volumes: 'GET /api/v0/volumes',
  volumeOffers: 'POST /api/v0/volumes/search/',
  deleteVolume: 'DELETE /api/v0/volumes/',
  user: 'GET /api/v0/users/current',
};

/** What our requests may hold, to the letter: a field that is not here is a defect (vast.md 3, 4.1, 7, 8, 10, 12). */
const filter = z.partialRecord(
  z.enum(['eq', 'neq', 'gt', 'gte', 'lt', 'lte', 'in', 'notin']),
  z.union([
    z.number(),
    z.boolean(),
    z.string(),
    z.null(),
    z.array(z.union([z.string(), z.number()])),
  ]),
);
const order = z.array(z.tuple([z.string(), z.enum(['asc', 'desc'])]));
const port = z.string().regex(/^-p \d+:\d+(?:\/udp)?$/);
const REQUESTS: Readonly<Record<string, z.ZodType>> = {
  'POST /api/v0/bundles/': z.looseObject({
    type: z.enum(['on-demand', 'bid']),
    order,
    limit: z.int().positive(),
    allocated_storage: z.number().positive(),
  }),
  'PUT /api/v0/asks/N/': z
    .strictObject({
      image: z.string().max(1024).exactOptional(),
      template_hash_id: z.string().exactOptional(),
      runtype: z.literal('ssh_direct').exactOptional(),
      disk: z.number().min(8),
      label: z.string().min(1).max(256),
      onstart: z.string().max(16_384),
      env: z.record(z.union([z.string().regex(/^[A-Za-z_]\w*$/), port]), z.string()),
      target_state: z.literal('running'),
      cancel_unavail: z.literal(true),
      price: z.number().min(0.001).max(128).exactOptional(),
      image_login: z
        .string()
        .regex(/^-u \S+ -p \S+ \S+$/)
        .exactOptional(),
      volume_info: z
        .strictObject({
          create_new: z.boolean(),
          volume_id: z.int(),
          mount_path: z.string().startsWith('/'),
          size: z.int().exactOptional(),
          name: z
            .string()
            .regex(/^\w{1,64}$/)
            .exactOptional(),
        })
        .exactOptional(),
    })
    .refine((body) => (body.image === undefined) !== (body.template_hash_id === undefined)),
  'PUT /api/v0/instances/N/': z.strictObject({ state: z.enum(['running', 'stopped']) }),
  'PUT /api/v0/instances/reboot/N/': z.strictObject({}),
  'DELETE /api/v0/instances/N/': z.strictObject({}),
  'PUT /api/v0/instances/bid_price/N/': z.strictObject({
    client_id: z.literal('me'),
    price: z.number().min(0.001),
  }),
  'PUT /api/v0/instances/request_logs/N/': z.strictObject({ tail: z.string().regex(/^\d+$/) }),
  'POST /api/v0/ssh/': z.strictObject({ ssh_key: z.string().startsWith('ssh-') }),
  'POST /api/v0/instances/N/ssh/': z.strictObject({ ssh_key: z.string().startsWith('ssh-') }),
  'POST /api/v0/volumes/search/': z.strictObject({
    machine_id: filter,
    disk_space: filter,
    allocated_storage: z.number(),
    order,
  }),
  'DELETE /api/v0/volumes/': z.strictObject({ id: z.int() }),
};
/** What the client reads out of a success. */
const ANSWERS: Readonly<Record<string, z.ZodType>> = {
  'POST /api/v0/bundles/': wire.searchSchema,
  'PUT /api/v0/asks/N/': wire.createdSchema.required(),
  'GET /api/v0/instances/N/': wire.showSchema,
  'GET /api/v1/instances/': wire.listSchema,
  'PUT /api/v0/instances/N/': z.looseObject({ success: z.boolean() }),
  'PUT /api/v0/instances/reboot/N/': z.looseObject({ success: z.literal(true) }),
  'DELETE /api/v0/instances/N/': z.looseObject({ success: z.literal(true) }),
  'PUT /api/v0/instances/bid_price/N/': z.looseObject({ success: z.literal(true) }),
  'PUT /api/v0/instances/request_logs/N/': wire.logRequestSchema,
  'GET /api/v0/ssh/': wire.accountKeysSchema,
  'POST /api/v0/ssh/': z.looseObject({ success: z.literal(true) }),
  'POST /api/v0/instances/N/ssh/': z.looseObject({ success: z.literal(true) }),
  'GET /api/v0/template/': wire.templatesSchema,
  'GET /api/v0/volumes': wire.volumesSchema,
  'POST /api/v0/volumes/search/': wire.volumeOffersSchema,
  'DELETE /api/v0/volumes/': z.looseObject({ success: z.literal(true) }),
  'GET /api/v0/users/current': wire.userSchema,
};

const callOf = ({ method, url }: Pick<Exchange, 'method' | 'url'>): string =>
  `${method} ${new URL(url, 'http://x').pathname.replace(/\/\d+(?=\/|$)/, '/N')}`;

type Whole = Provider &
  Required<Pick<Provider, 'checkPlan' | 'power' | 'bids' | 'volumes' | 'keys' | 'logs'>>;
interface Bench {
  readonly provider: Whole;
  readonly sandbox: VastSandbox;
  readonly url: string;
  readonly offers: readonly Offer[];
  request(offer: Offer, changes?: Partial<PodRequest>): PodRequest;
}
async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'done',
    (thrown: unknown) => {
      if (!isAppError(thrown)) throw thrown;
      return thrown.code;
    },
  );
}
function providerAt(baseUrl: string, apiKey: string): Whole {
  const provider = createVastProvider({
    apiKey,
    baseUrl,
    clock,
    ownPublicKey: async () => Promise.resolve(PUBLIC_KEY),
  });
  const { checkPlan, power, bids, volumes, keys, logs } = provider;
  if (!checkPlan || !power || !bids || !volumes || !keys || !logs)
    throw new Error('The provider lacks a part.');
  return { ...provider, checkPlan, power, bids, volumes, keys, logs };
}
async function until(look: () => Promise<boolean>): Promise<void> {
  const seen = await poll(async () => ((await look()) ? true : undefined), {
    clock: systemClock,
    signal,
    timeoutSeconds: 20,
    everySeconds: 0.05,
  });
  expect(seen).toBe(true);
}

/** Puts a template on the account, as the console does: the client itself never makes one. */
async function template({ url, sandbox }: Bench, fields: Record<string, unknown>) {
  const answer = await fetch(`${sandbox.url}/api/v0/template/`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${sandbox.apiKey}` },
    body: JSON.stringify(fields),
  });
  expect(answer.status, url).toBe(200);
  const { template: made } = (await answer.json()) as {
    template: { id: number; hash_id: string };
  };
  return made;
}

/** A new volume, the refusal while it is held, the same one again for another pod, and its end. */
async function volumesOnOneMachine(bench: Bench): Promise<void> {
  const { provider, offers } = bench;
  const { volumes } = provider;
  for (const candidate of offers.slice(10)) {
    const fresh = { newGb: 20, mountPath: '/data', name: 'train' };
    const made = bench.request(candidate, { volume: fresh });
    if ((await codeOf(provider.createPod(made, { signal }))) !== 'done') continue;
    const [volume] = await volumes.listVolumes({ signal });
    expect(volume).toMatchObject({ name: 'train', sizeGb: 20, podIds: [expect.any(String)] });
    const [podId] = volume?.podIds ?? [];
    if (volume === undefined || podId === undefined) throw new Error('No volume was made.');
    const { volumeId, machineId = '' } = volume;
    const remove = async (): Promise<string> => codeOf(volumes.removeVolume(volumeId, { signal }));
    expect(await remove()).toBe('unsupported');
    await provider.terminatePod(podId, { signal });
    const market = { ...ANY_OFFER, vastQuery: `machine_id=${machineId}` };
    await until(async () => (await provider.listOffers(market, { signal })).length > 0);
    await until(async () => (await volumes.listVolumes({ signal }))[0]?.podIds.length === 0);
    const [again = candidate] = await provider.listOffers(market, { signal });
    const linked = await provider.createPod(
      bench.request(again, { volume: { volumeId, mountPath: '/data' } }),
      { signal },
    );
    await provider.terminatePod(linked.podId, { signal });
    await until(async () => (await remove()) === 'done');
    expect(await remove()).toBe('done');
    return;
  }
  throw new Error('No machine has room for a volume.');
}

/** Everything that works, once. */
async function goodDay(bench: Bench): Promise<void> {
  const { provider, offers } = bench;
  const { power, bids, keys, logs } = provider;
  const offer = (nth: number): Offer => {
    const found = offers[nth];
    if (found === undefined) throw new Error('There are too few offers.');
    return found;
  };
  const narrow = {
    ...ANY_OFFER,
    gpu: ['RTX 4090'],
    gpuCount: 1,
    minCuda: 12,
    regions: ['US'],
    minReliability: 0.9,
    minDownloadMbps: 50,
    minVcpu: 1,
    minRamGb: 1,
    vastQuery:
      'gpu_ram>=24 num_gpus=1 reliability>0.9 disk_space>=64 verified=any geolocation notin [CN,RU]',
  };
  await provider.listOffers(narrow, { signal });
  await provider.listOffers({ ...ANY_OFFER, interruptible: true }, { signal });

  await provider.checkAccount({ signal });
  await keys.registerKey(PUBLIC_KEY, { signal });
  await keys.registerKey(`${PUBLIC_KEY}-again`, { signal });
  await provider.checkAccount({ signal });

  const plain = await provider.createPod(
    bench.request(offer(0), {
      env: { A: '1', LONG: 'b c=d' },
      ports: ['8888/http', '5000/udp', '70000'],
      setup: 'pip install einops',
      registryLogin: { host: 'ghcr.io', username: 'me', password: 'pass-word-123' },
    }),
    { signal },
  );
  const made = await template(bench, {
    name: 'mine',
    image: 'pytorch/pytorch',
    runtype: 'ssh',
    ssh_direct: true,
    use_ssh: true,
    env: '-e B=2 -p 9000:9000',
    onstart: 'echo hello',
  });
  for (const [nth, wanted] of [made.hash_id, String(made.id), 'mine'].entries()) {
    const request = bench.request(offer(nth + 1), { image: undefined, template: wanted });
    await provider.checkPlan(offer(nth + 1), request, { signal });
    await provider.createPod(request, { signal });
  }
  const [bidOffer] = await provider.listOffers({ ...ANY_OFFER, interruptible: true }, { signal });
  if (bidOffer === undefined) throw new Error('Nothing is interruptible.');
  const lowest = bidOffer.minBidUsdPerHour ?? 0.1;
  const bid = await provider.createPod(
    bench.request(bidOffer, {
      bidUsdPerHour: lowest * 1.1,
      maxUsdPerHour: bidOffer.usdPerHour * 2,
    }),
    { signal },
  );
  await bids.changeBid(bid.podId, lowest * 1.2, { signal });

  await volumesOnOneMachine(bench);

  await until(async () => (await provider.getPod(plain.podId, { signal }))?.status === 'running');
  await keys.attachKey?.(plain.podId, PUBLIC_KEY, { signal });
  expect(await logs.bootLog(plain.podId, 50, { signal })).toBeTypeOf('string');
  await power.restartPod(plain.podId, { signal });
  await power.stopPod(plain.podId, { signal });
  await until(async () => (await provider.getPod(plain.podId, { signal }))?.status === 'stopped');
  bench.sandbox.faults.add({ kind: 'start-unavailable', times: 1 });
  expect(await codeOf(power.startPod(plain.podId, { signal }))).toBe('no_capacity');
  await power.startPod(plain.podId, { signal });

  let count = (await provider.listPods({ signal })).length;
  for (const more of await provider.listOffers({ ...ANY_OFFER, gpuCount: 0 }, { signal })) {
    if (count > 60) break;
    if ((await codeOf(provider.createPod(bench.request(more), { signal }))) === 'done') count += 1;
  }
  const pods = await provider.listPods({ signal });
  expect(pods.length).toBeGreaterThan(60);
  for (const { podId } of pods) await provider.terminatePod(podId, { signal });
  await provider.terminatePod(plain.podId, { signal });
  expect(await provider.getPod(plain.podId, { signal })).toBeUndefined();
  expect(await provider.listPods({ signal })).toEqual([]);
}

/** Every call, refused in every way it can be. */
async function badDay(bench: Bench): Promise<void> {
  const { provider, sandbox } = bench;
  const [offer, second, third] = bench.offers;
  const unknown = podIdSchema.parse('vast:999999999');
  if (offer === undefined || second === undefined || third === undefined)
    throw new Error('There are too few offers.');
  const { podId } = await provider.createPod(bench.request(offer), { signal });
  const volume = { newGb: 1_000_000, mountPath: '/data' };
  const todo: Readonly<
    Record<Exclude<keyof VastApi, 'start'>, (by: Whole, id: typeof podId) => Promise<unknown>>
  > = {
    search: async (by) => by.listOffers(ANY_OFFER, { signal }),
    create: async (by) => by.createPod(bench.request(second), { signal }),
    show: async (by, id) => by.getPod(id, { signal }),
    list: async (by) => by.listPods({ signal }),
    setState: async (by, id) => by.power.stopPod(id, { signal }),
    reboot: async (by, id) => by.power.restartPod(id, { signal }),
    bid: async (by, id) => by.bids.changeBid(id, 0.5, { signal }),
    requestLogs: async (by, id) => by.logs.bootLog(id, 5, { signal }),
    accountKeys: async (by) => by.checkAccount({ signal }),
    addAccountKey: async (by) => by.keys.registerKey(`${PUBLIC_KEY}${randomToken()}`, { signal }),
    addPodKey: async (by, id) => by.keys.attachKey?.(id, PUBLIC_KEY, { signal }),
    templates: async (by) =>
      by.checkPlan(third, bench.request(third, { image: undefined, template: 'none' }), {
        signal,
      }),
    volumes: async (by) => by.volumes.listVolumes({ signal }),
    volumeOffers: async (by) => by.checkPlan(third, bench.request(third, { volume }), { signal }),
    deleteVolume: async (by, id) => by.volumes.removeVolume(id, { signal }),
    user: async (by) => by.checkAccount({ signal }),
    destroy: async (by, id) => by.terminatePod(id, { signal }),
  };
  const wrong = providerAt(bench.url, 'wrong-key-0123456789');
  for (const [name, act] of Object.entries(todo)) {
    if (name === 'deleteVolume') continue;
    expect(await codeOf(act(wrong, podId)), `${name} with a wrong key`).toBe('auth_rejected');
  }
  expect(await codeOf(wrong.volumes.removeVolume(podIdSchema.parse('vast:V.99'), { signal }))).toBe(
    'auth_rejected',
  );

  const gone: Readonly<Partial<Record<keyof typeof todo, string>>> = {
    show: 'done',
    setState: 'not_found',
    reboot: 'not_found',
    bid: 'not_found',
    requestLogs: 'not_found',
    addPodKey: 'not_found',
    deleteVolume: 'done',
    destroy: 'done',
  };
  for (const [name, code] of Object.entries(gone))
    expect(
      await codeOf(todo[name as keyof typeof todo](provider, unknown)),
      `${name} of nothing`,
    ).toBe(code);
  expect(await codeOf(provider.power.startPod(unknown, { signal }))).toBe('not_found');
  expect(
    await codeOf(provider.volumes.removeVolume(podIdSchema.parse('vast:V.99'), { signal })),
  ).toBe('done');
  expect(await codeOf(todo.templates(provider, podId))).toBe('not_found');
  expect(await codeOf(todo.volumeOffers(provider, podId))).toBe('unsupported');

  for (const kind of ['rate-limit', 'rate-limit-json', 'http-500', 'http-503'] as const)
    for (const [name, act] of Object.entries(todo)) {
      if (name === 'destroy') continue;
      const route = CALLS[name as keyof VastApi].split('N')[0]?.replace(/\/$/, '') ?? '';
      sandbox.faults.add({ kind, route, times: 1 });
      const code = await codeOf(act(provider, podId));
      expect(
        [
          'done',
          'not_found',
          'unsupported',
          'outcome_unknown',
          'offer_gone',
          'provider_unavailable',
        ],
        `${kind} ${name}: ${code}`,
      ).toContain(code);
      sandbox.faults.clear();
    }
  for (const [kind, code] of [
    ['offer-taken', 'offer_gone'],
    ['offer-gone-410', 'offer_gone'],
    ['no-credit', 'insufficient_credit'],
    ['spend-rate-limit', 'rate_limited'],
    ['create-failed-with-contract', 'no_capacity'],
    ['create-unavailable', 'offer_gone'],
  ] as const) {
    sandbox.faults.add({ kind, times: 1 });
    const [cheapest = third] = await provider.listOffers(ANY_OFFER, { signal });
    expect(await codeOf(provider.createPod(bench.request(cheapest), { signal })), kind).toBe(code);
    sandbox.faults.clear();
  }
  for (const pod of await provider.listPods({ signal }))
    await provider.terminatePod(pod.podId, { signal });
}
describe('client and sandbox of Vast.ai speak what is published', () => {
  const heard: Exchange[] = [];
  beforeAll(async () => {
    for (const day of [goodDay, badDay]) {
      await using sandbox = await startVastSandbox({
        machines: 'none',
        speed: SPEED,
        offers: 400,
        creditUsd: 10_000,
      });
      await using proxy = await startRecordingProxy(sandbox.url);
      const provider = providerAt(proxy.url, sandbox.apiKey);
      const offers = await provider.listOffers(ANY_OFFER, { signal });
      await day({
        provider,
        sandbox,
        url: proxy.url,
        offers,
        request: (offer, changes = {}) => ({
          offerId: offer.offerId,
          label: `gl-${randomToken()}`,
          diskGb: 16,
          sshPublicKey: PUBLIC_KEY,
          maxUsdPerHour: offer.usdPerHour * 1.2,
          deadlineAt: new Date(clock.now().getTime() + 36_000_000).toISOString(),
          onExpiry: 'destroy',
          image: 'pytorch/pytorch',
          env: {},
          ports: [],
          ...changes,
        }),
      });
      expect(sandbox.books().billingCount).toBe(0);
      heard.push(...proxy.exchanges);
    }
  }, 120_000);

  it('has a row for every method of the client, and every row was really called', () => {
    const methods = Object.keys(createVastApi({} as Http)).toSorted();
    expect(Object.keys(CALLS).toSorted()).toEqual(methods);
    const called = new Set(heard.map(callOf));
    expect([...called].toSorted()).toEqual([...new Set(Object.values(CALLS))].toSorted());
  });

  it('every request has the fields of vast.md and no other, every answer what the client reads', () => {
    const wrong = heard.flatMap((exchange) => {
      const call = callOf(exchange);
      const sent = exchange.requestBody === '' ? undefined : REQUESTS[call];
      const asked = sent?.safeParse(JSON.parse(exchange.requestBody));
      const isGood = exchange.status < 300 && !/"success": ?false/.test(exchange.responseBody);
      const got = isGood ? ANSWERS[call]?.safeParse(parsed(exchange.responseBody)) : undefined;
      return [asked, got].flatMap((result) =>
        result?.error === undefined ? [] : [`${call}: ${z.prettifyError(result.error)}`],
      );
    });
    expect([...new Set(wrong)]).toEqual([]);
  });

  it('the key travels in the header alone, over paths with their slash (vast.md 1.1, 1.3)', () => {
    for (const { url, requestHeaders, requestBody } of heard) {
      expect(requestHeaders['authorization']).toMatch(/^Bearer \S+$/);
      expect(url + requestBody).not.toContain('vast-sandbox-key');
      const { pathname } = new URL(url, 'http://x');
      if (!['/api/v0/users/current', '/api/v0/volumes'].includes(pathname))
        expect(pathname).toMatch(/\/$/);
    }
  });

  it('the list is read in pages of 25 until there is no token (vast.md 16.1)', () => {
    const pages = heard.filter(
      (exchange) => callOf(exchange) === CALLS.list && exchange.status === 200,
    );
    const sizes = pages.map(
      ({ responseBody }) =>
        (parsed(responseBody) as { instances?: unknown[] } | undefined)?.instances?.length ?? 0,
    );
    expect(Math.max(...sizes)).toBe(25);
    const followed = pages.filter(({ url }) => url.includes('after_token='));
    expect(followed.length).toBeGreaterThanOrEqual(2);
    expect(
      heard.some(({ method, url }) => method === 'GET' && url.startsWith('/api/v0/instances/?')),
    ).toBe(false);
  });

  it.runIf(api !== undefined)('every exchange is what ../shared/openapi says', () => {
    const complaints = heard.flatMap((exchange) => api?.check(exchange) ?? []);
    const unknown = new Set(
      heard.filter((exchange) => api?.check(exchange) === undefined).map(callOf),
    );
    expect([...new Set(complaints)]).toEqual([]);
    expect([...unknown]).toEqual([]);
    expect(DEVIATIONS.filter((deviation) => api?.used.has(deviation) === false)).toEqual([]);
  });
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
