import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/core/call.ts';
import type { Lease, Terms } from '../../src/core/lease.ts';
import type { Pod } from '../../src/core/pods.ts';
import { Redactor } from '../../src/core/redact.ts';
import type { FaultRule } from '../../src/core/sandbox.ts';
import type { PodsDeps } from '../../src/leases/deps.ts';
import { createLooks } from '../../src/leases/looks.ts';
import { createManagedMachines } from '../../src/leases/machines.ts';
import { createPods } from '../../src/leases/pods.ts';
import { createVastProvider } from '../../src/providers/vast/provider.ts';
import { createSshIdentity } from '../../src/sessions/identity.ts';
import { createProbe } from '../../src/sessions/probe.ts';
import { createSsh } from '../../src/sessions/ssh.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { startOwnClock } from '../support/clock.ts';
import { someTerms } from '../support/lease-bench.ts';
import { startVastSandbox } from '../support/vast-sandbox.ts';

const { signal } = new AbortController();
const ask = async () => Promise.resolve('accepted' as const);
const options = { signal, ask };
const SPEED = 60;
const SECRET = 'not-a-real-token-0123456789';

/** Leases, SSH and the client of Vast.ai are real; the cloud is made up, its pods are not, and its time runs 60 times faster. */
async function open(speed = SPEED) {
  const home = await mkdtemp(path.join(tmpdir(), 'lease-vast-'));
  const own = startOwnClock();
  const cloud = await startVastSandbox({ speed, offers: 60, clock: own });
  const clock: Clock = {
    now: () => new Date(cloud.clock.nowSeconds() * 1000),
    sleep: async (seconds, call) => own.sleep(seconds / speed, call),
  };
  const identity = createSshIdentity({ home });
  const provider = createVastProvider({
    apiKey: cloud.apiKey,
    baseUrl: cloud.url,
    clock,
    ownPublicKey: async (call) => identity.publicKey(call),
  });
  const providers = new Map([[provider.name, provider]]);
  const store = createMemoryStore();
  const looks = createLooks({ providers, clock });
  const machines = createManagedMachines({ store, providers, identity, clock, looks });
  const ssh = createSsh({ machines, store, clock: systemClock, home, redactor: new Redactor() });
  const pods = createPods({
    store,
    providers,
    identity,
    looks,
    clock,
    probe: createProbe(),
    remote: ssh.remote,
    sessions: ssh.sessions,
    jobs: {
      collectLogs: async () => Promise.resolve(),
      refresh: async () => Promise.resolve([]),
      list: async () => Promise.resolve([]),
    } as Partial<PodsDeps['jobs']> as PodsDeps['jobs'],
    files: { gates: async () => Promise.resolve([]) } as Partial<
      PodsDeps['files']
    > as PodsDeps['files'],
    secrets: { value: (name) => (name === 'HF_TOKEN' ? SECRET : undefined) },
    limits: {},
    processId: 'this',
    isAlive: () => false,
  });
  const query = {
    gpu: [],
    gpuCount: 1,
    minVramGb: 8,
    diskGb: 16,
    minReliability: 0,
    regions: [],
    interruptible: false,
  };
  const market = (await provider.listOffers(query, { signal }))
    .filter(({ directSsh, cuda }) => directSsh === true && (cuda ?? 0) >= 12.4)
    .sort((a, b) => a.usdPerHour - b.usdPerHour);
  const offers = market.slice(0, 3);
  const terms = (changes: Partial<Terms> = {}): Terms =>
    someTerms({ offerIds: offers.map(({ offerId }) => offerId), diskGb: 16, ...changes });
  return {
    cloud,
    pods,
    store,
    clock,
    offers,
    market,
    provider,
    terms,
    ssh,
    /** What goes wrong with the first of the offers alone. */
    spoil(rule: FaultRule, index = 0): void {
      cloud.faults.add({ ...rule, offerId: offers[index]?.offerId.replace('vast:', '') ?? '' });
    },
    /** Rents, and lets the server's rounds go on until a pod is ready or everything has ended. */
    async settle(afterSeconds = 0): Promise<Pod | undefined> {
      const created = await pods.create({ terms: terms(), waitSeconds: 200 }, options);
      if (created.status === 'provisioning') await cloud.clock.advance(afterSeconds);
      const end = Date.now() + 60_000;
      while (Date.now() < end) {
        await Promise.all([pods.tend({ signal }), pods.reconcile({ signal })]);
        const leases = await store.leases.list();
        const ready = leases.find(
          ({ readyAt, state }) => readyAt !== undefined && state === 'open',
        );
        if (ready?.podId !== undefined)
          return (await pods.get(ready.podId, { waitSeconds: 0 }, options)).pod;
        if (leases.every(({ state, mayReplace }) => state === 'closed' && mayReplace !== true))
          return undefined;
        await clock.sleep(5, { signal });
      }
      throw new Error(`Nothing came of it: ${JSON.stringify(await store.leases.list())}`);
    },
    billing: (): readonly string[] =>
      cloud
        .books()
        .instances.filter(({ billing }) => billing)
        .map(({ id }) => `vast:${id}`),
    async [Symbol.asyncDispose]() {
      await ssh[Symbol.asyncDispose]();
      await cloud[Symbol.asyncDispose]();
      own[Symbol.dispose]();
      await rm(home, { recursive: true, force: true });
    },
  };
}
type Bench = Awaited<ReturnType<typeof open>>;

async function endAll({ pods, store, billing }: Bench): Promise<void> {
  for (const { podId, state } of await store.leases.list())
    if (podId !== undefined && state !== 'closed')
      await pods.destroy(podId, { discardUnfetched: false, waitSeconds: 120 }, options);
  expect(billing()).toEqual([]);
}
const firstOf = async ({ store }: Bench): Promise<Lease> => {
  const [first] = await store.leases.list();
  if (first === undefined) throw new Error('There is no lease.');
  return first;
};

it('variables that were asked for are there in sessions and commands, secrets masked (vast.md 14)', async () => {
  await using bench = await open();
  const { pods, ssh, terms, store } = bench;
  const wanted = terms({ env: { GREETING: `it's "hi" $HOME` }, secretEnv: ['HF_TOKEN'] });
  const created = await pods.create({ terms: wanted, waitSeconds: 200 }, options);
  if (created.status !== 'ready') throw new Error(created.status);
  const { podId } = created.pod;
  const check = `printf '<%s>' "$GREETING"; [ "$HF_TOKEN" = ${SECRET} ] && echo same`;
  const { stdout } = await ssh.remote.exec(podId, check, { signal, timeoutSeconds: 20 });
  expect(stdout.toString()).toBe(`<it's "hi" $HOME>same\n`);
  const { sessionId } = await ssh.sessions.open(podId, { reuse: false }, { signal });
  const shown = await ssh.sessions.write(
    sessionId,
    { input: 'echo "<$GREETING>"', newline: true, secret: false, waitSeconds: 20 },
    { signal },
  );
  expect(shown.output).toContain(`<it's "hi" $HOME>`);
  expect(JSON.stringify(await store.leases.list())).not.toContain(SECRET);
  const kept = bench.cloud.sandbox.requests();
  expect(JSON.stringify(kept)).not.toContain(SECRET);
  await endAll(bench);
});

it('the new volume of a host that failed goes when the cloud frees it, that of the next one stays [VO-03]', async () => {
  await using bench = await open();
  const { pods, cloud, market, provider, terms, clock } = bench;
  const volume = 'new:20:/data:mine';
  const use = { newGb: 20, mountPath: '/data' };
  const roomy: typeof market = [];
  for (const offer of market) {
    const plan = { diskGb: 16, image: 'pytorch/pytorch', env: {}, ports: [], volume: use };
    const fits = await provider.checkPlan?.(offer, plan, { signal }).catch(() => undefined);
    if (fits !== undefined) roomy.push(offer);
    if (roomy.length === 2) break;
  }
  const [bad] = roomy;
  if (bad === undefined || roomy.length < 2) throw new Error('No host has room for volumes.');
  cloud.faults.add({ kind: 'oci-error', offerId: bad.offerId.replace('vast:', '') });
  const wanted = terms({ offerIds: roomy.map(({ offerId }) => offerId), volume });
  const created = await pods.create({ terms: wanted, waitSeconds: 400 }, options);
  if (created.status !== 'ready') throw new Error(JSON.stringify(created));
  expect(created.attempts.at(-1)?.reason).toMatch(/new volume vast:V\.\d+ is removed as soon as/);
  const charged = (): readonly string[] =>
    cloud
      .books()
      .instances.filter(({ kind, billing }) => kind === 'volume' && billing)
      .map(({ id }) => id);
  const rounds = async (): Promise<number> => {
    await pods.tend({ signal });
    await clock.sleep(5, { signal });
    return charged().length;
  };
  await expect.poll(rounds, { timeout: 20_000 }).toBe(1);
  await endAll({
    ...bench,
    billing: () => bench.billing().filter((id) => !charged().includes(id.slice(5))),
  });
  expect(charged()).toHaveLength(1);
});

describe('a bad host is noticed, proven destroyed and replaced: each fault of a boot', () => {
  it.each<[string, Partial<FaultRule>, string]>([
    ['stuck-null', {}, 'not ready after'],
    ['stuck-loading', {}, 'not ready after'],
    ['exits', {}, 'ended'],
    ['oci-error', {}, 'could not start the container'],
    ['offline', {}, 'offline'],
    ['unknown', {}, 'no sign of life'],
    ['wrong-gpu', {}, 'GPU'],
    ['ssh-nowhere', {}, 'no SSH server answered'],
    ['ssh-mute', {}, 'no SSH server answered'],
    ['ssh-refuses-key', {}, 'refuses our SSH key'],
    ['create-unavailable', {}, ''],
  ])('%s (vast.md 6.3, 16)', async (kind, more, why) => {
    await using bench = await open();
    bench.spoil({ kind, ...more });
    const pod = await bench.settle(1800);
    expect(pod).toMatchObject({ status: 'ready' });
    expect(bench.billing()).toEqual([pod?.podId]);
    const first = await firstOf(bench);
    expect(first.state).toBe('closed');
    expect(first.failure).toContain(why);
    await endAll(bench);
  });

  it.each<[string, string]>([
    ['manifest-unknown', 'image could not be pulled'],
    ['pull-denied', 'image could not be pulled'],
  ])('%s is the same everywhere: ended, and tried on no other host [RE-10]', async (kind, why) => {
    await using bench = await open();
    bench.spoil({ kind });
    expect(await bench.settle()).toBeUndefined();
    expect(bench.billing()).toEqual([]);
    expect(await firstOf(bench)).toMatchObject({
      blame: 'image',
      failure: expect.stringContaining(why) as string,
    });
    expect(bench.cloud.books().instances).toHaveLength(1);
  });
});

describe('what is slow or odd is no reason to give up', () => {
  it.each<[string, Partial<FaultRule>, string]>([
    ['direct-dead', {}, 'proxy'],
    ['mapping-missing', {}, 'proxy'],
    ['mapping-private', {}, 'proxy'],
    ['proxy-dead', {}, 'direct'],
    ['ssh-late', { value: 200 }, 'direct'],
    ['mapping-late', { value: 20 }, 'direct'],
    ['slow-boot', { value: 300 }, 'direct'],
    ['null-once', { times: 1 }, 'direct'],
    ['null-once', {}, 'direct'],
    ['list-lag', { value: 60 }, 'direct'],
  ])('%s (vast.md 9, 16.19)', async (kind, more, route) => {
    // What comes within the patience for it needs time that a busy machine does not eat.
    const speeds: Readonly<Record<string, number>> = { 'mapping-late': 10, 'null-once': 20 };
    await using bench = await open(speeds[kind] ?? SPEED);
    bench.spoil({ kind, ...more });
    const pod = await bench.settle();
    expect(pod).toMatchObject({ status: 'ready', endpoint: { route } });
    expect(bench.cloud.books().instances).toHaveLength(1);
    await endAll(bench);
  });
});

it('two bad hosts before the good one: one call, one consent, nothing left [CR-05]', async () => {
  await using bench = await open();
  bench.spoil({ kind: 'oci-error' }, 0);
  bench.spoil({ kind: 'wrong-gpu' }, 1);
  const pod = await bench.settle();
  expect(pod).toMatchObject({ status: 'ready' });
  expect(bench.billing()).toEqual([pod?.podId]);
  const last = (await bench.store.leases.list()).at(-1);
  expect(last?.attempts.map(({ cleanup }) => cleanup)).toEqual(['gone', 'gone']);
  expect(last?.attempts[0]?.foreignText).toContain('OCI runtime create failed');
  expect(last?.attempts.map(({ reason }) => reason).join()).not.toContain('OCI');
  await endAll(bench);
});

describe('a bad host that will not go', () => {
  it.each<[string, Partial<FaultRule>]>([
    ['destroy-lingers', { value: 30 }],
    ['destroy-fails', { times: 2 }],
  ])('%s: replaced once it is proven gone', async (kind, more) => {
    await using bench = await open();
    bench.spoil({ kind: 'oci-error' });
    bench.spoil({ kind, ...more });
    const pod = await bench.settle();
    expect(pod).toMatchObject({ status: 'ready' });
    expect(bench.billing()).toEqual([pod?.podId]);
    await endAll(bench);
  });

  it.each(['destroy-ignored', 'destroy-404'])('%s: nothing else is rented', async (kind) => {
    await using bench = await open();
    bench.spoil({ kind: 'oci-error' });
    bench.spoil({ kind });
    const created = await bench.pods.create({ terms: bench.terms(), waitSeconds: 300 }, options);
    expect(created.status).not.toBe('ready');
    const state = async (): Promise<string> => (await firstOf(bench)).state;
    await expect.poll(state, { timeout: 20_000 }).toBe('closing');
    await bench.cloud.clock.advance(300);
    await bench.pods.tend({ signal });
    expect(bench.cloud.books().instances).toHaveLength(1);
    const { pods } = await bench.pods.list({ includeEnded: false }, options);
    expect(pods[0]).toMatchObject({ status: 'cleanup_failed' });
  });
});

it('nothing takes the place of a pod that vanished on its way [RE-19]', async () => {
  await using bench = await open();
  bench.spoil({ kind: 'stuck-loading' });
  bench.spoil({ kind: 'vanishes', afterSeconds: 90 });
  expect(await bench.settle()).toBeUndefined();
  expect(bench.cloud.books().instances).toHaveLength(1);
  expect((await firstOf(bench)).failure).toBe('It was ended outside of this server.');
});
