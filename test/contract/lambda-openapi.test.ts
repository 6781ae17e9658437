import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Clock, systemClock } from '../../src/core/call.ts';
import { isAppError } from '../../src/core/errors.ts';
import { type PodId, podIdSchema, randomToken } from '../../src/core/ids.ts';
import type { Offer } from '../../src/core/offer.ts';
import { poll } from '../../src/core/poll.ts';
import type { PodRequest, Provider } from '../../src/core/provider.ts';
import type { Http } from '../../src/providers/http.ts';
import { createLambdaApi, type LambdaApi } from '../../src/providers/lambda/api.ts';
import { createLambdaProvider } from '../../src/providers/lambda/provider.ts';
import { type LambdaSandbox, startLambdaSandbox } from '../support/lambda-sandbox.ts';
import { type Deviation, openApiOf } from '../support/openapi.ts';
import { type Exchange, startRecordingProxy } from '../support/recording-proxy.ts';
import { ANY_OFFER } from './provider-contract.ts';

/** Where the published description says less than is known. Each one has to explain something in this run: a stale one fails. */
const DEVIATIONS: readonly Deviation[] = [
  // Limits are told in words, their answer is not described.
  ...['GET /api/v1/instance-types', 'GET /api/v1/instances', 'GET /api/v1/ssh-keys'].map(
    (call) => ({ where: `${call} 429`, at: '', source: 'lambda.md 3' }),
  ),
  { where: 'POST /api/v1/instance-operations/launch 429', at: '', source: 'lambda.md 3' },
  {
    where: 'POST /api/v1/instance-operations/terminate 409',
    at: '',
    source: 'lambda.md 2: an internal error may come with 409 elsewhere',
  },
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
const api = openApiOf('lambda-1.10.0.json', DEVIATIONS);
if (api === undefined)
  process.stdout.write('lambda-1.10.0.json is not here: only our own schemas are held against.\n');

/** Every method of the client, and the call of the wire behind it. */
const CALLS: Readonly<Record<keyof LambdaApi, string>> = {
  types: 'GET /api/v1/instance-types',
  images: 'GET /api/v1/images',
  instances: 'GET /api/v1/instances',
  instance: 'GET /api/v1/instances/N',
  launch: 'POST /api/v1/instance-operations/launch',
  terminate: 'POST /api/v1/instance-operations/terminate',
  restart: 'POST /api/v1/instance-operations/restart',
  sshKeys: 'GET /api/v1/ssh-keys',
  addSshKey: 'POST /api/v1/ssh-keys',
  fileSystems: 'GET /api/v1/file-systems',
  createFileSystem: 'POST /api/v1/filesystems',
  deleteFileSystem: 'DELETE /api/v1/filesystems/N',
};

/** What our requests may hold, to the letter (lambda.md 4, 6.1, 9, 10). */
const ids = z.strictObject({ instance_ids: z.array(z.string()).length(1) });
const REQUESTS: Readonly<Record<string, z.ZodType>> = {
  [CALLS.launch]: z.strictObject({
    region_name: z.string(),
    instance_type_name: z.string(),
    ssh_key_names: z.array(z.string()).length(1),
    name: z.string().min(1).max(64),
    user_data: z.string().max(1_000_000),
    tags: z.array(
      z.strictObject({
        key: z
          .string()
          .regex(/^[a-z][a-z0-9-:]+$/)
          .max(55),
        value: z.string().max(128),
      }),
    ),
    image: z.strictObject({ id: z.string() }).exactOptional(),
    file_system_mounts: z
      .array(
        z.strictObject({
          file_system_id: z.string(),
          mount_point: z.string().regex(/^(?:\/home|\/lambda\/nfs|\/data)[/a-zA-Z0-9-]*$/),
        }),
      )
      .length(1)
      .exactOptional(),
  }),
  [CALLS.terminate]: ids,
  [CALLS.restart]: ids,
  [CALLS.addSshKey]: z.strictObject({
    name: z.string().min(1).max(64),
    public_key: z.string().startsWith('ssh-'),
  }),
  [CALLS.createFileSystem]: z.strictObject({
    name: z.string().regex(/^[a-zA-Z]+[0-9a-zA-Z-]*$/),
    region: z.string(),
  }),
};

const callOf = ({ method, url }: Pick<Exchange, 'method' | 'url'>): string =>
  `${method} ${new URL(url, 'http://x').pathname.replace(/\/(instances|filesystems)\/[0-9a-z]+$/, '/$1/N')}`;

type Whole = Provider & Required<Pick<Provider, 'checkPlan' | 'volumes' | 'keys' | 'restartPod'>>;
interface Bench {
  readonly provider: Whole;
  readonly sandbox: LambdaSandbox;
  readonly url: string;
  readonly offer: Offer;
  readonly request: (changes?: Partial<PodRequest>) => PodRequest;
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
  const provider = createLambdaProvider({
    apiKey,
    baseUrl,
    clock,
    ownPublicKey: async () => Promise.resolve(PUBLIC_KEY),
  });
  const { checkPlan, volumes, keys, restartPod } = provider;
  if (!checkPlan || !volumes || !keys || !restartPod) throw new Error('The provider lacks a part.');
  return { ...provider, checkPlan, volumes, keys, restartPod };
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

/** Everything that works, once. */
async function goodDay({ provider, offer, request }: Bench): Promise<void> {
  const { volumes, keys } = provider;
  await provider.checkAccount({ signal });
  await keys.registerKey(PUBLIC_KEY, { signal });
  await keys.registerKey(`${PUBLIC_KEY}-again`, { signal });
  const fresh = request({
    image: 'lambda-stack-22-04',
    setup: 'pip install einops',
    env: { A: 'b c=d' },
    volume: { newGb: 100, mountPath: '/data/train', name: 'train' },
  });
  await provider.checkPlan(offer, fresh, { signal });
  const { podId } = await provider.createPod(fresh, { signal });
  await until(async () => (await provider.getPod(podId, { signal }))?.status === 'running');
  const [volume] = await volumes.listVolumes({ signal });
  expect(volume).toMatchObject({ sizeGb: 3.2, usdPerMonth: 0.6, podIds: [podId] });
  if (volume === undefined) throw new Error('No volume was made.');
  const remove = async (): Promise<string> =>
    codeOf(volumes.removeVolume(volume.volumeId, { signal }));
  expect(await remove()).toBe('unsupported');
  await provider.restartPod(podId, { signal });
  await provider.terminatePod(podId, { signal });
  await until(async () => (await provider.getPod(podId, { signal })) === undefined);

  const linked = request({
    volume: { volumeId: volume.volumeId, mountPath: '/lambda/nfs/train' },
  });
  const again = await provider.createPod(linked, { signal });
  expect((await provider.listPods({ signal })).map((pod) => pod.podId)).toEqual([again.podId]);
  await provider.terminatePod(again.podId, { signal });
  await until(async () => (await provider.listPods({ signal })).length === 0);
  expect(await remove()).toBe('done');
  expect(await remove()).toBe('done');
  expect(await volumes.listVolumes({ signal })).toEqual([]);
}

/** Every call, refused in every way it can be. */
async function badDay({ provider, sandbox, url, offer, request }: Bench): Promise<void> {
  const unknown = podIdSchema.parse('lambda:0123456789abcdef0123456789abcdef');
  const volumeId = podIdSchema.parse('lambda:V.0123456789abcdef0123456789abcdef');
  const { podId } = await provider.createPod(request(), { signal });
  const todo: Readonly<Record<keyof LambdaApi, (by: Whole, id: PodId) => Promise<unknown>>> = {
    types: async (by) => by.listOffers(ANY_OFFER, { signal }),
    images: async (by) => by.checkPlan(offer, request({ image: 'none' }), { signal }),
    instances: async (by) => by.listPods({ signal }),
    instance: async (by, id) => by.getPod(id, { signal }),
    launch: async (by) => by.createPod(request(), { signal }),
    terminate: async (by, id) => by.terminatePod(id, { signal }),
    restart: async (by, id) => by.restartPod(id, { signal }),
    sshKeys: async (by) => by.checkAccount({ signal }),
    addSshKey: async (by) => by.keys.registerKey(`ssh-rsa ${randomToken()}`, { signal }),
    fileSystems: async (by) => by.volumes.listVolumes({ signal }),
    createFileSystem: async (by) =>
      by.createPod(request({ volume: { newGb: 1, mountPath: '/data' } }), { signal }),
    deleteFileSystem: async (by) => by.volumes.removeVolume(volumeId, { signal }),
  };
  const wrong = providerAt(url, 'wrong-key-0123456789');
  for (const [name, act] of Object.entries(todo))
    expect(await codeOf(act(wrong, podId)), `${name} with a wrong key`).toBe('auth_rejected');
  for (const [name, code] of [
    ['instance', 'done'],
    ['terminate', 'done'],
    ['restart', 'not_found'],
    ['images', 'not_found'],
    ['deleteFileSystem', 'done'],
  ] as const)
    expect(await codeOf(todo[name](provider, unknown)), `${name} of nothing`).toBe(code);

  for (const [kind, code] of [
    ['no-capacity', 'no_capacity'],
    ['quota-exceeded', 'unsupported'],
    ['account-inactive', 'auth_rejected'],
    ['launch-fails-with-instance', 'no_capacity'],
  ] as const) {
    sandbox.faults.add({ kind, times: 1 });
    expect(await codeOf(provider.createPod(request(), { signal })), kind).toBe(code);
    sandbox.faults.clear();
  }
  const before = sandbox.cloud.instances.size;
  for (const [route, act] of [
    [CALLS.types, todo.types],
    [CALLS.instances, todo.instances],
    [CALLS.sshKeys, todo.sshKeys],
  ] as const) {
    sandbox.faults.add({ kind: 'rate-limit', route, times: 1 });
    expect(await codeOf(act(provider, podId)), route).toBe('done');
  }
  sandbox.faults.add({ kind: 'rate-limit', route: CALLS.launch, times: 1 });
  expect(await codeOf(todo.launch(provider, podId))).toBe('done');
  expect(sandbox.cloud.instances.size).toBe(before + 1);
  sandbox.faults.add({ kind: 'internal-error', route: CALLS.terminate, times: 1 });
  expect(await codeOf(todo.terminate(provider, podId))).toBe('done');
  for (const pod of await provider.listPods({ signal }))
    await provider.terminatePod(pod.podId, { signal });
}

describe('client and sandbox of Lambda speak what is published', () => {
  const heard: Exchange[] = [];
  beforeAll(async () => {
    for (const day of [goodDay, badDay]) {
      await using sandbox = await startLambdaSandbox({
        machines: 'none',
        speed: SPEED,
        lambda: { bootSeconds: 20 },
      });
      await using proxy = await startRecordingProxy(sandbox.url);
      const provider = providerAt(proxy.url, sandbox.apiKey);
      const [offer] = await provider.listOffers(ANY_OFFER, { signal });
      if (offer === undefined) throw new Error('There is no offer.');
      await day({
        provider,
        sandbox,
        url: proxy.url,
        offer,
        request: (changes = {}) => ({
          offerId: offer.offerId,
          label: `gl-${randomToken()}`,
          diskGb: 16,
          sshPublicKey: PUBLIC_KEY,
          maxUsdPerHour: offer.usdPerHour,
          deadlineAt: new Date(clock.now().getTime() + 36_000_000).toISOString(),
          onExpiry: 'destroy',
          env: {},
          ports: [],
          ...changes,
        }),
      });
      expect(sandbox.books().billingCount).toBe(0);
      heard.push(...proxy.exchanges);
    }
  }, 60_000);

  it('has a row for every method of the client, and every row was really called', () => {
    const none = { turn: async () => Promise.resolve(), hold: () => undefined };
    const methods = Object.keys(createLambdaApi({} as Http, none)).toSorted();
    expect(Object.keys(CALLS).toSorted()).toEqual(methods);
    const called = new Set(heard.map(callOf));
    expect([...called].toSorted()).toEqual(Object.values(CALLS).toSorted());
  });

  it('every request has the fields of lambda.md and no other', () => {
    const wrong = heard.flatMap((exchange) => {
      const call = callOf(exchange);
      if (exchange.requestBody === '') return [];
      const asked = REQUESTS[call]?.safeParse(JSON.parse(exchange.requestBody));
      if (asked === undefined) return [`${call}: a body that nobody expects`];
      return asked.error === undefined ? [] : [`${call}: ${z.prettifyError(asked.error)}`];
    });
    expect([...new Set(wrong)]).toEqual([]);
  });

  it('the key travels in the header alone (lambda.md 1)', () => {
    for (const { url, requestHeaders, requestBody } of heard) {
      expect(requestHeaders['authorization']).toMatch(/^Bearer \S+$/);
      expect(url + requestBody).not.toContain('lambda-sandbox-key');
    }
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
