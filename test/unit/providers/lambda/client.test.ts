import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../../../src/core/call.ts';
import { offerIdSchema, randomToken } from '../../../../src/core/ids.ts';
import type { Offer } from '../../../../src/core/offer.ts';
import type { PodRequest, Provider } from '../../../../src/core/provider.ts';
import { createLambdaApi } from '../../../../src/providers/lambda/api.ts';
import { PACES } from '../../../../src/providers/lambda/paces.ts';
import { createLambdaProvider } from '../../../../src/providers/lambda/provider.ts';
import { Pacer } from '../../../../src/providers/pacer.ts';
import type { LambdaOptions } from '../../../../src/sandbox/lambda/options.ts';
import { ANY_OFFER } from '../../../contract/provider-contract.ts';
import { ManualClock } from '../../../support/clock.ts';
import { type LambdaSandbox, startLambdaSandbox } from '../../../support/lambda-sandbox.ts';

const { signal } = new AbortController();
const PUBLIC_KEY = `ssh-ed25519 ${'B'.repeat(68)} me@here`;
const LAUNCH = 'POST /api/v1/instance-operations/launch';
const TERMINATE = 'POST /api/v1/instance-operations/terminate';

let sandbox: LambdaSandbox;
let provider: Provider;
/** The client of a server that has just started. */
let fresh: () => Provider;
let offer: Offer;
afterEach(async () => sandbox[Symbol.asyncDispose]());

/** Client and cloud on one clock, which stands still but for the waiting of the client. */
async function open(lambda: Partial<LambdaOptions> = {}, isPaced = false): Promise<void> {
  sandbox = await startLambdaSandbox({
    machines: 'none',
    speed: 0,
    lambda: { bootSeconds: 30, ...lambda },
  });
  const clock: Clock = {
    now: () => new Date(sandbox.clock.nowSeconds() * 1000),
    async sleep(seconds, { signal: stop }) {
      stop.throwIfAborted();
      await sandbox.clock.advance(seconds);
    },
  };
  fresh = () =>
    createLambdaProvider({
      apiKey: sandbox.apiKey,
      baseUrl: sandbox.url,
      clock,
      ownPublicKey: async () => Promise.resolve(PUBLIC_KEY),
      isPaced,
    });
  provider = fresh();
  const [first] = await provider.listOffers(ANY_OFFER, { signal });
  if (first === undefined) throw new Error('There is no offer.');
  offer = first;
}
const request = (changes: Partial<PodRequest> = {}): PodRequest => ({
  offerId: offer.offerId,
  label: `gl-${randomToken()}`,
  diskGb: 16,
  sshPublicKey: PUBLIC_KEY,
  maxUsdPerHour: offer.usdPerHour,
  deadlineAt: '2030-01-01T00:00:00.000Z',
  onExpiry: 'destroy',
  env: {},
  ports: [],
  ...changes,
});
const create = async (changes: Partial<PodRequest> = {}) =>
  provider.createPod(request(changes), { signal });
const living = () => sandbox.cloud.books().filter(({ billing }) => billing);
const calls = (line: string) =>
  sandbox.sandbox.requests().filter(({ method, path }) => `${method} ${path}` === line);

const gaps = (times: readonly number[]): readonly number[] =>
  times.slice(1).map((at, nth) => at - (times[nth] ?? 0));

describe('with the limits of the real cloud', () => {
  it('one call a second and one launch in twelve are kept, so that none is refused (lambda.md 3, 16.10)', async () => {
    await open({ rateLimits: true }, true);
    await create();
    await provider.listPods({ signal });
    await create();
    await provider.listOffers(ANY_OFFER, { signal });
    const seen = sandbox.sandbox.requests();
    expect(seen.length).toBeGreaterThan(10);
    expect(seen.filter(({ status }) => status === 429)).toEqual([]);
    expect(Math.min(...gaps(seen.map(({ at }) => at)))).toBeGreaterThan(1);
    expect(Math.min(...gaps(calls(LAUNCH).map(({ at }) => at)))).toBeGreaterThan(12);
  });

  it('launches that wait behind other calls keep their distance too, five a minute (lambda.md 3)', async () => {
    const clock = new ManualClock();
    const pacer = new Pacer(clock, PACES);
    const sent: { readonly at: number; readonly isLaunch: boolean }[] = [];
    const note = (isLaunch: boolean): void => {
      sent.push({ at: clock.now().getTime() / 1000, isLaunch });
    };
    const api = createLambdaApi(
      {
        async call(asked, options) {
          await pacer.turn(asked.lane, options);
          note(false);
          return asked.schema.parse({ data: [] });
        },
        async exchange(asked, options) {
          await pacer.turn(asked.lane, options);
          note(true);
          return { status: 200, body: {}, text: '' };
        },
        fetchFile: async () => Promise.reject(new Error('There are no files.')),
      },
      pacer,
    );
    const work = Array.from({ length: 6 }, () => [
      api.launch({}, [], { signal }),
      api.instances({ signal }),
      api.sshKeys({ signal }),
    ]);
    await Promise.all(work.flat());
    const times = (only: boolean) =>
      sent.filter(({ isLaunch }) => isLaunch || !only).map(({ at }) => at);
    expect(times(true)).toHaveLength(6);
    expect(Math.min(...gaps(times(false)))).toBeGreaterThan(1);
    expect(Math.min(...gaps(times(true)))).toBeGreaterThan(12);
    expect((times(true)[5] ?? 0) - (times(true)[0] ?? 0)).toBeGreaterThan(60);
  });
});

describe('the client of Lambda', () => {
  beforeEach(async () => open());

  it('offers what is free, type by region, without machines that have no GPU (lambda.md 17)', async () => {
    const offers = await provider.listOffers(ANY_OFFER, { signal });
    expect(offers.map(({ offerId }) => offerId.replace('lambda:', '')).toSorted()).toEqual(
      [...sandbox.cloud.free].filter((place) => !place.startsWith('cpu')).toSorted(),
    );
    expect(await provider.listOffers({ ...ANY_OFFER, interruptible: true }, { signal })).toEqual(
      [],
    );
    sandbox.cloud.free.clear();
    expect(await provider.listOffers(ANY_OFFER, { signal })).toEqual([]);
    expect(
      await provider.getOffer?.(offer.offerId, { diskGb: 1, interruptible: false }, { signal }),
    ).toBeUndefined();
  });

  it('capacity that is gone at the order is no_capacity, and nothing is launched (lambda.md 5, 16.3)', async () => {
    sandbox.cloud.free.clear();
    await expect(create()).rejects.toMatchObject({ code: 'no_capacity' });
    expect(calls(LAUNCH)).toEqual([]);
  });

  it('capacity that is listed and refused is no_capacity, and asked for once (lambda.md 5)', async () => {
    sandbox.faults.add({ kind: 'no-capacity' });
    await expect(create()).rejects.toMatchObject({ code: 'no_capacity' });
    expect(calls(LAUNCH)).toHaveLength(1);
  });

  it('a price that rises between the look and the order is removed again', async () => {
    sandbox.faults.add({ kind: 'price-rise', value: 2, times: 1000 });
    await expect(create()).rejects.toMatchObject({ code: 'price_changed' });
    expect([...sandbox.cloud.instances.values()].map(({ status }) => status)).not.toContain(
      'booting',
    );
  });

  it('the key is added once, under a name of its own; a name that two keys share is not used (lambda.md 9)', async () => {
    await create();
    await create({ sshPublicKey: PUBLIC_KEY.replace('me@here', 'another comment') });
    expect(sandbox.cloud.keys()).toEqual([PUBLIC_KEY]);
    const [instance] = sandbox.cloud.instances.values();
    expect(instance?.keyName).toMatch(/^gpu-lease-[0-9a-f]{16}$/);
    expect(await provider.checkAccount({ signal })).toEqual({
      keySource: 'LAMBDA_API_KEY',
      reachable: true,
      sshKeyRegistered: true,
    });
  });

  it.each(['drop-after', 'late-500', 'truncated', 'html'] as const)(
    '%s at the launch: looked up by its name, never launched twice (lambda.md 6.4)',
    async (kind) => {
      sandbox.faults.add({ kind, route: LAUNCH, times: 1 });
      const work = create();
      if (kind === 'html') await expect(work).rejects.toMatchObject({ code: 'outcome_unknown' });
      else expect((await work).status).toBe('provisioning');
      expect(calls(LAUNCH)).toHaveLength(1);
      expect(sandbox.cloud.instances.size).toBe(kind === 'html' ? 0 : 1);
    },
  );

  it('a 429 at the launch is waited for and asked again, after a look (lambda.md 3)', async () => {
    sandbox.faults.add({ kind: 'rate-limit', route: LAUNCH, times: 2 });
    expect((await create()).status).toBe('provisioning');
    expect(calls(LAUNCH)).toHaveLength(3);
    expect(sandbox.cloud.instances.size).toBe(1);
  });

  it('a second machine that nobody asked for is ended at once', async () => {
    sandbox.faults.add({ kind: 'two-instances', times: 1 });
    const pod = await create();
    const rows = [...sandbox.cloud.instances.values()];
    expect(rows).toHaveLength(2);
    for (const { id, status } of rows)
      expect(status === 'booting').toBe(`lambda:${id}` === pod.podId);
  });

  it('a new id that Lambda does not know yet is not gone, and its end is not taken for done (lambda.md 6.3)', async () => {
    sandbox.faults.add({ kind: 'id-unknown', value: 80, times: 1 });
    sandbox.faults.add({ kind: 'list-lag', value: 80, times: 1 });
    const pod = await create();
    await sandbox.clock.advance(40);
    expect(await provider.getPod(pod.podId, { signal })).toMatchObject({ status: 'provisioning' });
    await expect(provider.terminatePod(pod.podId, { signal })).rejects.toMatchObject({
      code: 'provider_unavailable',
      retryable: true,
    });
    await sandbox.clock.advance(60);
    await provider.terminatePod(pod.podId, { signal });
    await sandbox.clock.advance(120);
    expect(await provider.getPod(pod.podId, { signal })).toBeUndefined();
    expect(living()).toEqual([]);
  });

  it('nor for a server that has started since, which is told when it was launched', async () => {
    sandbox.faults.add({ kind: 'id-unknown', value: 80, times: 1 });
    sandbox.faults.add({ kind: 'list-lag', value: 80, times: 1 });
    const { podId, label, usdPerHour } = await create();
    const createdAt = new Date(sandbox.clock.nowSeconds() * 1000).toISOString();
    await sandbox.clock.advance(40);
    const next = fresh();
    expect(await next.getPod(podId, { signal })).toBeUndefined();
    next.recall?.({ podId, label, usdPerHour, createdAt });
    expect(await next.getPod(podId, { signal })).toMatchObject({
      podId,
      label,
      usdPerHour,
      status: 'provisioning',
    });
    await expect(next.terminatePod(podId, { signal })).rejects.toMatchObject({
      code: 'provider_unavailable',
    });
    await sandbox.clock.advance(60);
    expect(await next.getPod(podId, { signal })).toMatchObject({ status: 'running' });
    await next.terminatePod(podId, { signal });
    await sandbox.clock.advance(120);
    next.recall?.({ podId, label, usdPerHour, createdAt });
    expect(await next.getPod(podId, { signal })).toBeUndefined();
    // Launched too long ago, not being known means what it says.
    const other = fresh();
    other.recall?.({ podId, label, usdPerHour, createdAt });
    expect(await other.getPod(podId, { signal })).toBeUndefined();
  });

  it('404 at the end of a machine that lives is no end', async () => {
    const { podId } = await create();
    sandbox.faults.add({ kind: 'terminate-404', times: 1 });
    await expect(provider.terminatePod(podId, { signal })).rejects.toMatchObject({
      code: 'provider_unavailable',
    });
    await provider.terminatePod(podId, { signal });
    expect([...sandbox.cloud.instances.values()][0]?.status).toBe('terminating');
  });

  it('an answer that is lost at the end is asked for again (lambda.md 8)', async () => {
    const { podId } = await create();
    sandbox.faults.add({ kind: 'drop-after', route: TERMINATE, times: 1 });
    await provider.terminatePod(podId, { signal });
    expect(calls(TERMINATE)).toHaveLength(2);
  });

  it('terminated and preempted machines are gone, although lists show them (lambda.md 7)', async () => {
    sandbox.faults.add({ kind: 'preempted', afterSeconds: 1, times: 1 });
    const [first, second] = [await create(), await create()];
    const pods = [first, second];
    await provider.terminatePod(second.podId, { signal });
    await sandbox.clock.advance(50);
    const statuses = [...sandbox.cloud.instances.values()].map(({ status }) => status);
    expect(statuses).toEqual(['preempted', 'terminated']);
    for (const { podId } of pods) expect(await provider.getPod(podId, { signal })).toBeUndefined();
    expect(await provider.listPods({ signal })).toEqual([]);
    expect(living()).toEqual([]);
  });

  it('cannot stop, can restart, and says a restart of a machine that boots is not possible now (lambda.md 8)', async () => {
    expect(provider.power).toBeUndefined();
    const { podId } = await create();
    await expect(provider.restartPod?.(podId, { signal })).rejects.toMatchObject({
      code: 'provider_unavailable',
      retryable: true,
    });
    await sandbox.clock.advance(60);
    await provider.restartPod?.(podId, { signal });
    expect([...sandbox.cloud.instances.values()][0]?.isBusy).toBe(true);
  });

  it.each([
    [{ image: 'pytorch/pytorch:2.8.0' }, 'unsupported'],
    [{ image: 'no-such-family' }, 'not_found'],
    [{ template: 't' }, 'unsupported'],
    [{ ports: ['8000/tcp'] }, 'unsupported'],
    [{ env: { A: 'b' }, secretNames: ['A'] }, 'unsupported'],
    [{ bidUsdPerHour: 1 }, 'invalid_input'],
    [{ diskGb: 10_000_000 }, 'invalid_input'],
    [{ label: 'x'.repeat(65) }, 'too_large'],
    [{ volume: { newGb: 1, mountPath: '/workspace' } }, 'invalid_input'],
    [{ volume: { newGb: 1, mountPath: '/home/ubuntu' } }, 'invalid_input'],
    [{ volume: { newGb: 1, mountPath: '/data', name: 'a_b' } }, 'invalid_input'],
    [{ volume: { volumeId: 'V.none', mountPath: '/data' } }, 'not_found'],
  ])('%j is refused as %s before anything is launched or made', async (changes, code) => {
    const wanted = request(changes);
    await expect(provider.createPod(wanted, { signal })).rejects.toMatchObject({ code });
    if (wanted.label.length < 65)
      await expect(provider.checkPlan?.(offer, wanted, { signal })).rejects.toMatchObject({ code });
    expect(calls(LAUNCH)).toEqual([]);
    expect(sandbox.cloud.books()).toEqual([]);
  });

  it('a volume of another region is refused, and a new one goes when its pod never came', async () => {
    const elsewhere = [...sandbox.cloud.free].find(
      (place) => place.startsWith('gpu') && !place.endsWith(offer.offerId.split('@')[1] ?? ''),
    );
    const pod = await create({ volume: { newGb: 1, mountPath: '/data', name: 'kept' } });
    const [volume] = (await provider.volumes?.listVolumes({ signal })) ?? [];
    expect(volume?.podIds).toEqual([pod.podId]);
    const use = { volumeId: volume?.volumeId ?? '', mountPath: '/data' };
    await expect(
      create({
        offerId: offerIdSchema.parse(`lambda:${elsewhere ?? ''}`),
        maxUsdPerHour: 100,
        volume: use,
      }),
    ).rejects.toMatchObject({ code: 'unsupported' });

    sandbox.faults.add({ kind: 'no-capacity' });
    await expect(
      create({ volume: { newGb: 1, mountPath: '/data', name: 'fresh' } }),
    ).rejects.toMatchObject({ code: 'no_capacity' });
    const left = (await provider.volumes?.listVolumes({ signal })) ?? [];
    expect(left.map(({ name }) => name)).toEqual([expect.stringMatching(/^kept/)]);
  });

  it('says before the money that only a server or the watcher ends the pod', async () => {
    const notes = (await provider.checkPlan?.(offer, request(), { signal })) ?? [];
    expect(notes.join(' ')).toContain('only a server or the watcher that is up ends the pod');
    expect(provider.deadlines).toBeUndefined();
    expect(provider.facts.deadlineFile).toBeUndefined();
  });
});

describe('a cloud that does not end what boots', () => {
  it('is asked again until it does (lambda.md 8)', async () => {
    await open({ terminateWhileBooting: false });
    const { podId } = await create();
    await expect(provider.terminatePod(podId, { signal })).rejects.toMatchObject({
      code: 'provider_unavailable',
      retryable: true,
    });
    await sandbox.clock.advance(60);
    await provider.terminatePod(podId, { signal });
    await sandbox.clock.advance(60);
    expect(await provider.getPod(podId, { signal })).toBeUndefined();
    expect(living()).toEqual([]);
  });
});
