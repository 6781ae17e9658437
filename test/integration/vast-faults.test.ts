import { describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/core/call.ts';
import { isAppError } from '../../src/core/errors.ts';
import { randomToken } from '../../src/core/ids.ts';
import { poll } from '../../src/core/poll.ts';
import type { PodRequest, Provider, ProviderPod } from '../../src/core/provider.ts';
import type { FaultRule } from '../../src/core/sandbox.ts';
import { createVastProvider } from '../../src/providers/vast/provider.ts';
import { startVastSandbox, type VastSandbox } from '../support/vast-sandbox.ts';

const { signal } = new AbortController();
const PUBLIC_KEY = `ssh-ed25519 ${'A'.repeat(68)} test`;
const SPEED = 40;
const START = Date.now();
/** As much faster as the time of the sandbox. */
const clock: Clock = {
  now: () => new Date(START + (Date.now() - START) * SPEED),
  sleep: async (seconds, options) => systemClock.sleep(seconds / SPEED, options),
};

interface Bench extends AsyncDisposable {
  readonly sandbox: VastSandbox;
  readonly provider: Provider;
  request(changes?: Partial<PodRequest>): PodRequest;
  /** Destroys what is listed until nothing is charged any more. */
  clear(): Promise<void>;
}
async function open(interruptible = false): Promise<Bench> {
  const sandbox = await startVastSandbox({ machines: 'none', speed: SPEED, offers: 40 });
  const provider = createVastProvider({
    apiKey: sandbox.apiKey,
    baseUrl: sandbox.url,
    clock,
    ownPublicKey: async () => Promise.resolve(PUBLIC_KEY),
  });
  const query = {
    gpu: [],
    gpuCount: 0,
    minVramGb: 1,
    diskGb: 16,
    minReliability: 0,
    regions: [],
    interruptible,
  };
  const offers = await provider.listOffers(query, { signal });
  const offer = offers.find(({ directSsh }) => directSsh === true);
  if (offer === undefined) throw new Error('There is no offer.');
  return {
    sandbox,
    provider,
    request: (changes = {}) => ({
      offerId: offer.offerId,
      label: `gl-${randomToken()}`,
      diskGb: 16,
      sshPublicKey: PUBLIC_KEY,
      maxUsdPerHour: offer.usdPerHour * 1.2,
      deadlineAt: new Date(Date.now() + 3_600_000).toISOString(),
      onExpiry: 'destroy',
      image: 'pytorch/pytorch',
      env: {},
      ports: [],
      ...(interruptible ? { bidUsdPerHour: (offer.minBidUsdPerHour ?? 0.1) * 1.05 } : {}),
      ...changes,
    }),
    async clear() {
      const done = await poll(
        async () => {
          const pods = await provider.listPods({ signal }).catch(() => []);
          for (const { podId } of pods)
            await provider.terminatePod(podId, { signal }).catch(() => undefined);
          return sandbox.books().billingCount === 0 ? true : undefined;
        },
        { clock: systemClock, signal, timeoutSeconds: 20, everySeconds: 0.1 },
      );
      expect(done).toBe(true);
    },
    [Symbol.asyncDispose]: async () => sandbox[Symbol.asyncDispose](),
  };
}

async function outcomeOf(work: Promise<ProviderPod>): Promise<string> {
  return work.then(
    () => 'created',
    (thrown: unknown) => {
      if (!isAppError(thrown)) throw thrown;
      return thrown.code;
    },
  );
}

const CREATE = 'PUT /api/v0/asks';
const LIST = 'GET /api/v1/instances';
const SEARCH = 'POST /api/v0/bundles';
const once = (kind: string, route: string): FaultRule => ({ kind, route, times: 1 });

describe.concurrent('each fault at each step of a creation', () => {
  it.each<[string, FaultRule, string]>([
    ...[
      'rate-limit',
      'rate-limit-json',
      'http-500',
      'http-502',
      'http-503',
      'http-504',
      'html',
      'truncated',
      'drop-before',
      'drop-after',
    ].flatMap((kind): [string, FaultRule, string][] => [
      [`${kind} of the list`, once(kind, LIST), 'created'],
      [`${kind} of the search`, once(kind, SEARCH), 'created'],
    ]),
    ['rate-limit of the creation', once('rate-limit', CREATE), 'created'],
    ['rate-limit-json of the creation', once('rate-limit-json', CREATE), 'created'],
    ['http-500 of the creation', once('http-500', CREATE), 'outcome_unknown'],
    ['http-502 of the creation', once('http-502', CREATE), 'outcome_unknown'],
    ['http-503 of the creation', once('http-503', CREATE), 'outcome_unknown'],
    ['http-504 of the creation', once('http-504', CREATE), 'outcome_unknown'],
    ['html of the creation', once('html', CREATE), 'outcome_unknown'],
    ['truncated after the creation', once('truncated', CREATE), 'created'],
    ['drop-before the creation', once('drop-before', CREATE), 'outcome_unknown'],
    ['drop-after the creation', once('drop-after', CREATE), 'created'],
    ['success-false of the creation', once('success-false', CREATE), 'no_capacity'],
    ['offer-taken', { kind: 'offer-taken', times: 1 }, 'offer_gone'],
    ['offer-gone-410', { kind: 'offer-gone-410', times: 1 }, 'offer_gone'],
    ['price-rise', { kind: 'price-rise', value: 1.5 }, 'price_changed'],
    ['no-credit', { kind: 'no-credit', times: 1 }, 'insufficient_credit'],
    ['spend-rate-limit', { kind: 'spend-rate-limit', times: 1 }, 'rate_limited'],
    [
      'create-failed-with-contract',
      { kind: 'create-failed-with-contract', times: 1 },
      'no_capacity',
    ],
    ['create-without-instance', { kind: 'create-without-instance', times: 1 }, 'created'],
    ['list-lag', { kind: 'list-lag', value: 60 }, 'created'],
  ])('%s: nothing is left that is charged', async (_name, rule, expected) => {
    await using bench = await open();
    bench.sandbox.faults.add(rule);
    const request = bench.request();
    expect(await outcomeOf(bench.provider.createPod(request, { signal }))).toBe(expected);
    const { instances } = bench.sandbox.books();
    expect(instances.filter(({ label }) => label === request.label).length).toBeLessThanOrEqual(1);
    if (expected !== 'created') expect(instances.filter(({ billing }) => billing)).toEqual([]);
    await bench.clear();
  });

  it('a creation whose failure leaves a machine that will not go is named', async () => {
    await using bench = await open();
    bench.sandbox.faults.add({ kind: 'create-failed-with-contract', times: 1 });
    bench.sandbox.faults.add({ kind: 'destroy-ignored' });
    const failure: unknown = await bench.provider
      .createPod(bench.request(), { signal })
      .catch((thrown: unknown) => thrown);
    if (!isAppError(failure)) throw new Error('It must be told.');
    expect(failure.code).toBe('outcome_unknown');
    const [left] = bench.sandbox.books().instances.filter(({ billing }) => billing);
    expect(failure.message).toContain(`vast:${left?.id ?? '?'}`);
    bench.sandbox.faults.clear();
    await bench.clear();
  });
});

describe.concurrent('each fault of a boot is told for what it is', () => {
  const seen = async (
    { provider }: Bench,
    { podId }: ProviderPod,
    holds: (pod: ProviderPod | undefined) => boolean,
  ): Promise<ProviderPod | undefined> => {
    const found = await poll(
      async () => {
        const pod = await provider.getPod(podId, { signal });
        return holds(pod) ? { pod } : undefined;
      },
      { clock: systemClock, signal, timeoutSeconds: 25, everySeconds: 0.1 },
    );
    if (found === undefined) throw new Error('It was never told.');
    return found.pod;
  };

  it.each<[string, string, string | undefined]>([
    ['exits', 'failed', undefined],
    ['oci-error', 'failed', 'host'],
    ['manifest-unknown', 'failed', 'image'],
    ['pull-denied', 'failed', 'image'],
    ['offline', 'unknown', 'host'],
    ['unknown', 'unknown', 'host'],
  ])('%s: %s, without waiting longer [RE-02, RE-10]', async (kind, status, blame) => {
    await using bench = await open();
    bench.sandbox.faults.add({ kind });
    const pod = await bench.provider.createPod(bench.request(), { signal });
    const told = await seen(bench, pod, (look) => look?.isHopeless === true);
    expect(told).toMatchObject({ status, problem: expect.any(String) as string });
    expect(told?.blame).toBe(blame);
    expect(told?.endpoint).toBeUndefined();
    await bench.clear();
  });

  it('a healthy one is reached directly, with the proxy behind it', async () => {
    await using bench = await open();
    const pod = await bench.provider.createPod(bench.request(), { signal });
    const running = await seen(bench, pod, (look) => look?.status === 'running');
    expect(running?.endpoint?.route).toBe('direct');
    expect(running?.fallback?.route).toBe('proxy');
    expect(running?.portMappings?.join()).toContain('22/tcp -> ');
    expect(running?.usdPerHour).toBeGreaterThan(0);
    await bench.clear();
  });

  it('a mapping that is missing leaves the proxy alone', async () => {
    await using bench = await open();
    bench.sandbox.faults.add({ kind: 'mapping-missing' });
    const pod = await bench.provider.createPod(bench.request(), { signal });
    const running = await seen(bench, pod, (look) => look?.status === 'running');
    expect(running?.endpoint?.route).toBe('proxy');
    expect(running?.fallback).toBeUndefined();
    await bench.clear();
  });

  it('an interruptible pod that is outbid is paused, and says what helps', async () => {
    await using bench = await open(true);
    bench.sandbox.faults.add({ kind: 'outbid', afterSeconds: 5 });
    const pod = await bench.provider.createPod(bench.request(), { signal });
    const told = await seen(bench, pod, (look) => look?.blame === 'outbid');
    expect(told).toMatchObject({ status: 'stopped' });
    await bench.clear();
  });

  it('one that vanishes is gone', async () => {
    await using bench = await open();
    bench.sandbox.faults.add({ kind: 'vanishes', afterSeconds: 5 });
    const pod = await bench.provider.createPod(bench.request(), { signal });
    expect(await seen(bench, pod, (look) => look === undefined)).toBeUndefined();
  });

  it('a start for which the GPU is taken leaves nothing queued', async () => {
    await using bench = await open();
    const pod = await bench.provider.createPod(bench.request(), { signal });
    await seen(bench, pod, (look) => look?.status === 'running');
    await bench.provider.power?.stopPod(pod.podId, { signal });
    await seen(bench, pod, (look) => look?.status === 'stopped');
    bench.sandbox.faults.add({ kind: 'start-unavailable', times: 1 });
    await expect(bench.provider.power?.startPod(pod.podId, { signal })).rejects.toMatchObject({
      code: 'no_capacity',
    });
    const answer = await fetch(`${bench.sandbox.url}/api/v0/instances/${pod.podId.slice(5)}/`, {
      headers: { authorization: `Bearer ${bench.sandbox.apiKey}` },
    });
    expect(await answer.json()).toMatchObject({ instances: { intended_status: 'stopped' } });
    await bench.clear();
  });
});

describe.concurrent('each fault of a destruction', () => {
  it.each([
    'destroy-fails',
    'destroy-404',
    'destroy-ignored',
    'destroy-lingers',
    'null-once',
    'reads-nothing',
  ])('%s: said again it ends, and is only then gone', async (kind) => {
    await using bench = await open();
    const pod = await bench.provider.createPod(bench.request(), { signal });
    bench.sandbox.faults.add({
      kind,
      times: 1,
      ...(kind === 'destroy-lingers' ? { value: 20 } : {}),
    });
    await bench.provider.terminatePod(pod.podId, { signal }).catch((thrown: unknown) => {
      expect(isAppError(thrown)).toBe(true);
    });
    await bench.clear();
    expect(await bench.provider.getPod(pod.podId, { signal })).toBeUndefined();
  });
});
