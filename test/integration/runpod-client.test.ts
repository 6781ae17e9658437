import { expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { type AppError, isAppError } from '../../src/core/errors.ts';
import { type OfferId, offerIdSchema, randomToken } from '../../src/core/ids.ts';
import type { Offer, OfferQuery } from '../../src/core/offer.ts';
import { poll } from '../../src/core/poll.ts';
import type { PodRequest, Provider, ProviderPod } from '../../src/core/provider.ts';
import {
  createRunpodProvider,
  type RunpodProviderDeps,
} from '../../src/providers/runpod/provider.ts';
import { ManualClock } from '../support/clock.ts';
import {
  type RunpodSandbox,
  type RunpodSandboxOptions,
  startRunpodSandbox,
} from '../support/runpod-sandbox.ts';

const OPTIONS = { signal: new AbortController().signal };
const PUBLIC_KEY = `ssh-ed25519 ${'A'.repeat(68)} test`;
const CREATE = 'POST /graphql podFindAndDeployOnDemand';
const QUERY: OfferQuery = {
  gpu: [],
  gpuCount: 1,
  minVramGb: 1,
  diskGb: 20,
  minReliability: 0,
  regions: [],
  interruptible: false,
};

interface Bench extends AsyncDisposable {
  readonly sandbox: RunpodSandbox;
  readonly provider: Provider;
  offers(query?: Partial<OfferQuery>): Promise<readonly Offer[]>;
  request(changes?: Partial<PodRequest>): Promise<PodRequest>;
}

async function open(
  { runpod, ...sandboxOptions }: RunpodSandboxOptions = {},
  deps:
    | Partial<RunpodProviderDeps>
    | ((sandbox: RunpodSandbox) => Partial<RunpodProviderDeps>) = {},
): Promise<Bench> {
  const sandbox = await startRunpodSandbox({
    machines: 'none',
    speed: 200,
    offers: 120,
    ...sandboxOptions,
    runpod: { portSeconds: 0, ...runpod },
  });
  const provider = createRunpodProvider({
    apiKey: sandbox.apiKey,
    graphqlUrl: sandbox.graphqlUrl,
    restUrl: sandbox.restV2Url,
    clock: new ManualClock(new Date().toISOString()),
    ownPublicKey: async () => Promise.resolve(PUBLIC_KEY),
    ...(typeof deps === 'function' ? deps(sandbox) : deps),
  });
  const offers: Bench['offers'] = async (query = {}) =>
    provider.listOffers({ ...QUERY, ...query }, OPTIONS);
  return {
    sandbox,
    provider,
    offers,
    async request(changes = {}) {
      const [offer] = await offers();
      if (offer === undefined) throw new Error('The sandbox has no offer.');
      return {
        offerId: offer.offerId,
        label: `gl-${randomToken()}`,
        diskGb: 20,
        sshPublicKey: PUBLIC_KEY,
        maxUsdPerHour: offer.usdPerHour * 1.01,
        deadlineAt: new Date(Date.now() + 7_200_000).toISOString(),
        onExpiry: 'destroy',
        env: {},
        ports: [],
        ...changes,
      };
    },
    [Symbol.asyncDispose]: async () => sandbox[Symbol.asyncDispose](),
  };
}

/** A provider whose time is that of the sandbox: how long ago it ordered something tells it whose ports it sees. */
const inItsTime = ({ clock }: RunpodSandbox): Partial<RunpodProviderDeps> => ({
  clock: {
    now: () => new Date(clock.nowSeconds() * 1000),
    sleep: async (seconds, call) => systemClock.sleep(seconds / clock.speed, call),
  },
});

async function failureOf(work: Promise<unknown>): Promise<AppError> {
  const thrown: unknown = await work.then(
    (value) => new Error(`It worked: ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!isAppError(thrown)) throw thrown;
  return thrown;
}

async function until(
  provider: Provider,
  podId: ProviderPod['podId'],
  holds: (pod: ProviderPod | undefined) => boolean,
): Promise<ProviderPod | undefined> {
  const seen = await poll(
    async () => {
      const pod = await provider.getPod(podId, OPTIONS);
      return holds(pod) ? { pod } : undefined;
    },
    { clock: systemClock, ...OPTIONS, timeoutSeconds: 20, everySeconds: 0.05 },
  );
  if (seen === undefined) throw new Error('The pod did not get there.');
  return seen.pod;
}
const isRunning = (pod: ProviderPod | undefined): boolean => pod?.endpoint !== undefined;
const podNow = ({ sandbox }: Bench) => {
  const [pod] = sandbox.cloud.pods.values();
  if (pod === undefined) throw new Error('There is no pod.');
  return pod;
};

it('the default template, its variables and ports, our key, timer and deadline reach the pod [CR-28] [KE-05]', async () => {
  await using bench = await open();
  const request = await bench.request({ env: { MINE: '1' }, ports: ['6006/http'] });
  const made = await bench.provider.createPod(request, OPTIONS);
  expect(made).toMatchObject({ status: 'provisioning', label: request.label });
  const { order } = podNow(bench);
  expect(order.env.get('PUBLIC_KEY')).toBe(PUBLIC_KEY);
  expect(order.env.get('MINE')).toBe('1');
  expect(order.ports).toEqual(expect.arrayContaining(['22/tcp', '6006/http']));
  expect(order.args).toContain('gpu-lease-timer');
  const pod = await until(bench.provider, made.podId, isRunning);
  expect(pod?.endpoint).toMatchObject({ user: 'root', route: 'direct' });
  // Nothing of a rehearsal goes out to the real gateway.
  expect(pod).not.toHaveProperty('fallback');
  expect(pod?.portMappings?.join()).toContain('22/tcp -> ');
});

it('one look at a pod is one call, and so is a list', async () => {
  await using bench = await open();
  const { podId } = await bench.provider.createPod(await bench.request(), OPTIONS);
  const calls = async (work: () => Promise<unknown>): Promise<number> => {
    const before = bench.sandbox.sandbox.requests().length;
    await work();
    return bench.sandbox.sandbox.requests().length - before;
  };
  expect(await calls(async () => bench.provider.getPod(podId, OPTIONS))).toBe(1);
  expect(await calls(async () => bench.provider.listPods(OPTIONS))).toBe(1);
  expect(await calls(async () => bench.offers())).toBe(1);
});

it('REST v2 takes over while GraphQL is withdrawn, and the other way round (runpod.md 1.1)', async () => {
  for (const state of ['gone', 'missing'] as const) {
    await using bench = await open();
    const { provider } = bench;
    bench.sandbox.cloud.setApi('graphql', state);
    const offers = await bench.offers();
    expect(offers.length).toBeGreaterThan(0);
    const { podId } = await provider.createPod(await bench.request(), OPTIONS);
    expect((await until(provider, podId, isRunning))?.endpoint).toMatchObject({ route: 'direct' });
    expect((await provider.listPods(OPTIONS)).map((pod) => pod.podId)).toEqual([podId]);
    expect(await provider.checkAccount(OPTIONS)).toMatchObject({
      reachable: true,
      problem: expect.stringContaining('balance') as string,
    });
    await provider.power?.stopPod(podId, OPTIONS);
    expect((await provider.getPod(podId, OPTIONS))?.status).toBe('stopped');
    await provider.terminatePod(podId, OPTIONS);
    await provider.terminatePod(podId, OPTIONS);
    expect(await provider.getPod(podId, OPTIONS)).toBeUndefined();
    const spot = await failureOf(
      provider.createPod(
        {
          ...(await bench.request()),
          offerId: `${offers[0]?.offerId ?? ''}/spot` as OfferId,
          bidUsdPerHour: 1,
        },
        OPTIONS,
      ),
    );
    expect(['offer_gone', 'provider_contract']).toContain(spot.code);
  }
  await using bench = await open();
  bench.sandbox.cloud.setApi('v2', 'gone');
  await bench.provider.keys?.registerKey(PUBLIC_KEY, OPTIONS);
  expect(bench.sandbox.cloud.keys()).toContain(PUBLIC_KEY);
  expect(await bench.provider.checkAccount(OPTIONS)).toMatchObject({ sshKeyRegistered: true });
});

it('REST v1 is asked only where its address is given', async () => {
  await using bench = await open();
  const { podId } = await bench.provider.createPod(await bench.request(), OPTIONS);
  bench.sandbox.cloud.setApi('graphql', 'gone');
  bench.sandbox.cloud.setApi('v2', 'gone');
  expect((await failureOf(bench.provider.getPod(podId, OPTIONS))).code).toBe('provider_contract');
  const old = createRunpodProvider({
    apiKey: bench.sandbox.apiKey,
    graphqlUrl: bench.sandbox.graphqlUrl,
    restUrl: bench.sandbox.restV2Url,
    oldRestUrl: bench.sandbox.restV1Url,
    clock: systemClock,
    ownPublicKey: async () => Promise.resolve(PUBLIC_KEY),
  });
  expect((await until(old, podId, isRunning))?.endpoint).toMatchObject({ route: 'direct' });
  await old.terminatePod(podId, OPTIONS);
  expect(await old.getPod(podId, OPTIONS)).toBeUndefined();
});

it('other keys on the account stay when ours is added, once (runpod.md 5.3) [KE-04]', async () => {
  await using bench = await open();
  const { provider, sandbox } = bench;
  const theirs = `ssh-ed25519 ${'B'.repeat(68)} somebody else`;
  await fetch(`${sandbox.restV2Url}/account/ssh-keys`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${sandbox.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ keys: [theirs] }),
  });
  expect(await provider.checkAccount(OPTIONS)).toMatchObject({ sshKeyRegistered: false });
  await provider.keys?.registerKey(PUBLIC_KEY, OPTIONS);
  await provider.keys?.registerKey(PUBLIC_KEY.replace(' test', ' another comment'), OPTIONS);
  expect(sandbox.cloud.keys()).toEqual([theirs, PUBLIC_KEY]);
  expect(
    (await failureOf(provider.keys?.registerKey('-----BEGIN X', OPTIONS) ?? Promise.resolve()))
      .code,
  ).toBe('invalid_input');
});

it('a network volume needs the secure cloud and one place, and is refused before any call [OF-22] [VO-01]', async () => {
  await using bench = await open();
  const asked = bench.sandbox.sandbox.requests().length;
  const request: PodRequest = {
    offerId: offerIdSchema.parse('runpod:community/nvidia-geforce-rtx-4090/any/1'),
    label: 'gl-volume',
    diskGb: 20,
    sshPublicKey: PUBLIC_KEY,
    maxUsdPerHour: 9,
    deadlineAt: new Date(Date.now() + 7_200_000).toISOString(),
    onExpiry: 'destroy',
    env: {},
    ports: [],
    volume: { newGb: 20, mountPath: '/data' },
  };
  const plan = { ...request, image: undefined };
  const offer = { offerId: request.offerId } as Offer;
  for (const offerId of [request.offerId, 'runpod:secure/nvidia-geforce-rtx-4090/any/1' as OfferId])
    expect(
      await failureOf(
        bench.provider.checkPlan?.({ ...offer, offerId }, plan, OPTIONS) ?? Promise.resolve(),
      ),
    ).toMatchObject({ code: 'unsupported', hint: expect.stringContaining('find_offer') as string });
  expect(bench.sandbox.sandbox.requests()).toHaveLength(asked);
});

it('a new volume is made in the place of the offer, outlives the pod, and is taken back with a pod that never was [VO-03]', async () => {
  await using bench = await open();
  const { provider, sandbox } = bench;
  const offers = await bench.offers({ regions: ['any place'] });
  const pinned = offers.filter(
    ({ region, warnings = [] }) => !region.startsWith('any') && !warnings.join().includes('volume'),
  );
  const [offer] = pinned;
  if (offer === undefined) throw new Error('No place has storage.');
  const changes: Partial<PodRequest> = {
    offerId: offer.offerId,
    maxUsdPerHour: offer.usdPerHour,
    volume: { newGb: 20, mountPath: '/data' },
    // The image of the default template asks for a CUDA that not every place has.
    image: 'me/any:1',
  };
  sandbox.faults.add({ kind: 'no-capacity', times: 1 });
  expect((await failureOf(provider.createPod(await bench.request(changes), OPTIONS))).code).toBe(
    'no_capacity',
  );
  expect(await provider.volumes?.listVolumes(OPTIONS)).toEqual([]);

  const { podId } = await provider.createPod(await bench.request(changes), OPTIONS);
  const [volume] = (await provider.volumes?.listVolumes(OPTIONS)) ?? [];
  expect(volume).toMatchObject({ sizeGb: 20, podIds: [podId] });
  if (volume === undefined) throw new Error('There is no volume.');
  expect(
    (await failureOf(provider.volumes?.removeVolume(volume.volumeId, OPTIONS) ?? Promise.resolve()))
      .code,
  ).toBe('unsupported');
  await provider.terminatePod(podId, OPTIONS);
  await provider.volumes?.removeVolume(volume.volumeId, OPTIONS);
  await provider.volumes?.removeVolume(volume.volumeId, OPTIONS);
  expect(await provider.volumes?.listVolumes(OPTIONS)).toEqual([]);

  sandbox.faults.add({ kind: 'storage-fails', times: 1 });
  const refused = await failureOf(provider.createPod(await bench.request(changes), OPTIONS));
  expect(refused).toMatchObject({ code: 'unsupported' });
  expect(await provider.listPods(OPTIONS)).toEqual([]);
  const again = (await bench.offers({ regions: ['x'] })).find(
    ({ offerId }) => offerId === offer.offerId,
  );
  expect(again?.warnings?.join()).toContain('A volume was refused there');
});

it.each([
  ['no-capacity', 'no_capacity'],
  ['host-unfit', 'no_capacity'],
  ['no-credit', 'insufficient_credit'],
  ['create-wrong', 'no_capacity'],
  ['create-null', 'no_capacity'],
  ['http-502', 'outcome_unknown'],
  ['html-403', 'outcome_unknown'],
  ['truncated', undefined],
])('%s at a creation: nothing is left that nobody knows of (runpod.md 3.1)', async (kind, code) => {
  await using bench = await open();
  const { provider, sandbox } = bench;
  sandbox.faults.add({ kind, route: CREATE, times: 1 });
  const request = await bench.request();
  if (code === undefined) {
    const pod = await provider.createPod(request, OPTIONS);
    expect((await provider.listPods(OPTIONS)).map(({ podId }) => podId)).toEqual([pod.podId]);
    return;
  }
  const failure = await failureOf(provider.createPod(request, OPTIONS));
  expect(failure.code).toBe(code);
  expect(sandbox.cloud.pods.size).toBe(0);
  expect(`${failure.message} ${failure.hint}`).not.toContain(failure.foreignText ?? '\0');
});

it('a price that rose while it was ordered is seen in the answer: the pod is removed, proven [law 7]', async () => {
  await using bench = await open();
  bench.sandbox.faults.add({ kind: 'price-rise', times: 1 });
  const failure = await failureOf(bench.provider.createPod(await bench.request(), OPTIONS));
  expect(failure.code).toBe('price_changed');
  expect(await bench.provider.listPods(OPTIONS)).toEqual([]);
});

it('a living pod that is denied once is not gone; one that RunPod says it has not, and shows, is not terminated', async () => {
  await using bench = await open();
  const { provider, sandbox } = bench;
  const { podId } = await provider.createPod(await bench.request(), OPTIONS);
  sandbox.faults.add({ kind: 'null-once', times: 1 });
  expect(await provider.getPod(podId, OPTIONS)).toMatchObject({ podId });
  sandbox.faults.add({ kind: 'terminate-404', times: 1 });
  expect((await failureOf(provider.terminatePod(podId, OPTIONS))).code).toBe(
    'teardown_unconfirmed',
  );
  await provider.terminatePod(podId, OPTIONS);
  expect(await provider.getPod(podId, OPTIONS)).toBeUndefined();
});

it('a key that is not accepted is never taken for "gone" (runpod.md 2.2)', async () => {
  await using bench = await open();
  const { podId } = await bench.provider.createPod(await bench.request(), OPTIONS);
  const stranger = createRunpodProvider({
    apiKey: 'rpa_STRANGER00000000000000',
    graphqlUrl: bench.sandbox.graphqlUrl,
    restUrl: bench.sandbox.restV2Url,
    clock: systemClock,
    ownPublicKey: async () => Promise.resolve(undefined),
  });
  for (const call of [
    async () => stranger.getPod(podId, OPTIONS),
    async () => stranger.listPods(OPTIONS),
    async () => stranger.terminatePod(podId, OPTIONS),
    async () => stranger.checkAccount(OPTIONS),
  ])
    expect((await failureOf(call())).code).toBe('auth_rejected');
  const limited = createRunpodProvider({
    apiKey: bench.sandbox.cloud.addApiKey({ graphql: 'none', rest: 'none' }),
    graphqlUrl: bench.sandbox.graphqlUrl,
    restUrl: bench.sandbox.restV2Url,
    clock: systemClock,
    ownPublicKey: async () => Promise.resolve(undefined),
  });
  const failure = await failureOf(limited.getPod(podId, OPTIONS));
  expect(failure).toMatchObject({
    code: 'auth_rejected',
    message: expect.stringContaining('permission') as string,
  });
});

it('stop keeps the pod, start gives it another port, a full host is told as such [CR-21]', async () => {
  await using bench = await open({}, inItsTime);
  const { provider, sandbox } = bench;
  const { podId } = await provider.createPod(await bench.request(), OPTIONS);
  const before = await until(provider, podId, isRunning);
  await provider.power?.stopPod(podId, OPTIONS);
  const stopped = await provider.getPod(podId, OPTIONS);
  expect(stopped).toMatchObject({ status: 'stopped' });
  expect(stopped).not.toHaveProperty('endpoint');
  sandbox.faults.add({ kind: 'host-full', times: 1 });
  expect(
    (await failureOf(provider.power?.startPod(podId, OPTIONS) ?? Promise.resolve())).code,
  ).toBe('no_capacity');
  await provider.power?.startPod(podId, OPTIONS);
  const after = await until(provider, podId, isRunning);
  expect(after?.endpoint?.port).not.toBe(before?.endpoint?.port);
});

it('interruptible: a bid for the whole pod; an outbid one says so and comes back with a higher one [OF-06] [SP-09]', async () => {
  await using bench = await open({}, inItsTime);
  const { provider, sandbox } = bench;
  const [offer] = await provider.listOffers({ ...QUERY, interruptible: true }, OPTIONS);
  if (offer === undefined) throw new Error('Nothing is interruptible.');
  const bid = (offer.minBidUsdPerHour ?? 0) * 1.2;
  const request = await bench.request({
    offerId: offer.offerId,
    maxUsdPerHour: bid + 1,
    image: 'me/any:1',
  });
  expect((await failureOf(provider.createPod(request, OPTIONS))).code).toBe('invalid_input');
  sandbox.faults.add({ kind: 'outbid', afterSeconds: 20, times: 1 });
  const { podId } = await provider.createPod({ ...request, bidUsdPerHour: bid }, OPTIONS);
  const outbid = await until(provider, podId, (pod) => pod?.status === 'stopped');
  expect(outbid).toMatchObject({ blame: 'outbid' });
  const start = await failureOf(provider.power?.startPod(podId, OPTIONS) ?? Promise.resolve());
  expect(start.hint).toContain('bidUsdPerHour');
  await provider.bids?.changeBid(podId, bid * 10, OPTIONS);
  await until(provider, podId, isRunning);
});

it('the log of a boot is read although its stream never ends (runpod.md 12)', async () => {
  await using bench = await open();
  const { provider, sandbox } = bench;
  sandbox.faults.add({ kind: 'image-not-found', times: 1 });
  const { podId } = await provider.createPod(await bench.request(), OPTIONS);
  const text = await poll(
    async () => {
      const said = await provider.logs?.bootLog(podId, 50, OPTIONS).catch(() => '');
      return said?.includes('[system]') === true ? said : undefined;
    },
    { clock: systemClock, ...OPTIONS, timeoutSeconds: 20, everySeconds: 0.2 },
  );
  expect(text).toContain('[system]');
  // Here alone it is told, so this is where the wait for the pod looks [RE-02].
  expect(provider.logs?.tellsPulls).toBe(true);
  const started = performance.now();
  await provider.logs?.bootLog(podId, 50, OPTIONS);
  expect(performance.now() - started).toBeLessThan(6_500);
});

it('a template without SSH, one that is not there and a raw image reference are refused before anything is rented', async () => {
  await using bench = await open();
  const { provider, sandbox } = bench;
  for (const [template, code] of [
    ['nosuchtmpl', 'not_found'],
    ['runpod/pytorch:2.8', 'invalid_input'],
  ] as const)
    expect(
      (await failureOf(provider.createPod(await bench.request({ template }), OPTIONS))).code,
    ).toBe(code);
  const refused = await failureOf(
    provider.createPod(
      await bench.request({ env: { KEY: 'rpa_ABCDEFGHIJKLMNOPQRSTUVWXYZ' } }),
      OPTIONS,
    ),
  );
  expect(refused.code).toBe('secret_refused');
  expect(sandbox.cloud.pods.size).toBe(0);
});
