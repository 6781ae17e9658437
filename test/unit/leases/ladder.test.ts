import { describe, expect, it } from 'vitest';
import { RemoteError } from '../../../src/core/errors.ts';
import type { PodId } from '../../../src/core/ids.ts';
import type { SshEndpoint } from '../../../src/core/machine.ts';
import { createManagedMachines } from '../../../src/leases/machines.ts';
import { createLeaseBench, type LeaseBench } from '../../support/lease-bench.ts';

const silent = new RemoteError('ssh_unreachable', 'nobody there');
const refused = new RemoteError('ssh_refused', 'denied');
const proxyOf = (podId: PodId): SshEndpoint => ({
  podId,
  host: 'ssh5.example.com',
  port: 35_610,
  user: 'root',
  route: 'proxy',
});

async function pod(bench: LeaseBench, waitSeconds = 0) {
  const [machine] = bench.cloud.machines;
  if (machine === undefined) throw new Error('no machine');
  const request = { ...(waitSeconds > 0 ? { waitFor: 'ready' as const } : {}), waitSeconds };
  return (await bench.pods.get(machine.podId, request, bench.options)).pod;
}
async function lease(bench: LeaseBench) {
  const [first] = await bench.store.leases.list();
  if (first === undefined) throw new Error('no lease');
  return first;
}
const count = (bench: LeaseBench, call: string): number =>
  bench.cloud.calls.filter((one) => one === call).length;

describe('the way in', () => {
  it('knows a closed port, one that does not speak and one that is SSH apart [RE-05] [RE-08]', async () => {
    const bench = createLeaseBench({ cloud: { bootSeconds: 0 } });
    bench.world.ssh = silent;
    bench.world.reach = () => 'closed';
    await bench.create({}, 0);
    expect((await lease(bench)).stage).toBe('mapped');
    bench.world.reach = () => 'open';
    expect((await pod(bench)).stage).toBe('tcp');
    bench.world.reach = () => 'ssh';
    expect((await pod(bench)).stage).toBe('banner');
    bench.world.ssh = undefined;
    expect(await pod(bench)).toMatchObject({ stage: 'ready', status: 'ready' });
  });

  it('is a line in the log, once, with the raw ports and who goes where by which route [PR-16]', async () => {
    const bench = createLeaseBench({ cloud: { bootSeconds: 0 } });
    await bench.create();
    await pod(bench);
    const lines = (await bench.store.log.list()).filter(({ kind }) => kind === 'endpoint');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.text).toContain('root@127.0.0.1:1, route direct');
    expect(lines[0]?.text).toContain('22/tcp -> 0.0.0.0:33526');
  });

  it('is the proxy after the direct one failed for 30 s, not before, and says so (vast.md 9)', async () => {
    const bench = createLeaseBench({ cloud: { bootSeconds: 0, fallback: proxyOf } });
    bench.world.reach = (port) => (port === 35_610 ? 'ssh' : 'closed');
    await bench.create({}, 0);
    bench.clock.advance(29);
    expect(await pod(bench)).toMatchObject({ stage: 'mapped', endpoint: { route: 'direct' } });
    expect(bench.world.probed).not.toContain(35_610);
    bench.clock.advance(1);
    expect(await pod(bench)).toMatchObject({
      status: 'ready',
      endpoint: { route: 'proxy', host: 'ssh5.example.com', port: 35_610 },
      problem: expect.stringContaining('proxy') as string,
    });
    const machines = createManagedMachines({
      store: bench.store,
      providers: new Map([['vast', bench.cloud]]),
      identity: { keyPath: '/keys/id', publicKey: async () => Promise.resolve('') },
      clock: bench.clock,
    });
    const { podId = '' } = await lease(bench);
    expect(await machines.endpoint(podId as PodId, bench.options)).toMatchObject({
      route: 'proxy',
      port: 35_610,
      keyPath: '/keys/id',
    });
  });

  it('is looked for again after a restart: the direct one first', async () => {
    const cloud = { bootSeconds: 0, fallback: proxyOf, canStop: true };
    const bench = createLeaseBench({ cloud });
    bench.world.reach = (port) => (port === 35_610 ? 'ssh' : 'closed');
    await bench.create({}, 0);
    bench.clock.advance(30);
    const { podId } = await pod(bench);
    expect((await lease(bench)).endpoint?.route).toBe('proxy');
    bench.world.reach = () => 'ssh';
    await bench.pods.update(podId, { action: 'restart' }, bench.options);
    expect(await pod(bench)).toMatchObject({ status: 'ready', endpoint: { route: 'direct' } });
  });

  it('a pod with the proxy alone is used through it (vast.md 9)', async () => {
    const bench = createLeaseBench({ cloud: { bootSeconds: 0, fallback: proxyOf } });
    bench.cloud.faults.unmapped = true;
    await bench.create({}, 0);
    expect((await pod(bench)).stage).toBe('running');
    bench.clock.advance(30);
    expect(await pod(bench)).toMatchObject({ status: 'ready', endpoint: { route: 'proxy' } });
  });

  it('that never appears fails after 3 minutes, and names the likely causes [RE-07]', async () => {
    const bench = createLeaseBench({ cloud: { bootSeconds: 0 } });
    bench.cloud.faults.unmapped = true;
    await bench.create({}, 0);
    bench.clock.advance(179);
    expect((await pod(bench)).status).toBe('provisioning');
    bench.clock.advance(1);
    const { status, problem } = await pod(bench);
    expect(status).toBe('failed');
    expect(problem).toMatch(/^no_ssh_mapping: .*22\/tcp.*public address.*starts again/);
  });
});

describe('a key that is refused [RE-08]', () => {
  it('is added to the pod once, and knocks no oftener than every 5 s', async () => {
    const bench = createLeaseBench({ cloud: { bootSeconds: 0, accountKeys: [], pollSeconds: 10 } });
    bench.world.ssh = refused;
    await bench.create({}, 40);
    expect(count(bench, 'attachKey')).toBe(1);
    expect(bench.world.logins).toBeGreaterThan(3);
    expect(bench.world.logins).toBeLessThan(12);
    expect((await lease(bench)).deniedSince).toBeDefined();
    expect((await bench.store.log.list()).map(({ kind }) => kind)).toContain('key');
  });

  it('is forgotten when the pod lets us in after all', async () => {
    const bench = createLeaseBench({ cloud: { bootSeconds: 0, accountKeys: [] } });
    bench.world.ssh = refused;
    await bench.create({}, 0);
    bench.clock.advance(50);
    bench.world.ssh = undefined;
    expect((await pod(bench)).status).toBe('ready');
    expect((await lease(bench)).deniedSince).toBeUndefined();
  });
});

describe('what the cloud says', () => {
  it.each([
    ['an OCI error', { detail: 'Error response from daemon: OCI runtime create failed' }, 'host'],
    ['a missing image', { detail: 'manifest for x/y:z not found: manifest unknown' }, 'image'],
    ['a denied pull', { detail: 'pull access denied for x/y' }, 'image'],
    ['its own blame', { blame: 'host' as const, detail: 'manifest unknown' }, 'host'],
    ['nothing', {}, 'unknown'],
  ])(
    '%s fails at once and is blamed on the right one [RE-02] [RE-10]',
    async (_what, problem, blame) => {
      const bench = createLeaseBench();
      bench.cloud.faults.bootFails = 1;
      bench.cloud.faults.bootProblem = problem;
      const outcome = await bench.create({}, 0);
      expect(outcome).toMatchObject({ status: 'failed', attempts: [{ cleanup: 'gone' }] });
      expect((await lease(bench)).blame).toBe(blame);
      expect(bench.cloud.alive()).toEqual([]);
      const [attempt] = outcome.status === 'failed' ? outcome.attempts : [];
      expect(attempt?.reason).not.toMatch(/manifest|OCI|pull access/);
      expect(attempt?.foreignText).toBe('detail' in problem ? problem.detail : undefined);
    },
  );

  it('a hopeless state ends the wait whatever it is called (vast.md 6.3)', async () => {
    const bench = createLeaseBench();
    bench.cloud.faults.bootFails = 1;
    bench.cloud.faults.bootProblem = { isHopeless: true, problem: 'The host is offline.' };
    const outcome = await bench.create({}, 25);
    expect(outcome).toMatchObject({ attempts: [{ reason: 'The host is offline.' }] });
  });

  it('a slow pull says how long it has taken, and for how long it may [RE-01]', async () => {
    const bench = createLeaseBench();
    bench.cloud.faults.neverBoots = true;
    await bench.create({}, 0);
    expect((await pod(bench)).problem).toBeUndefined();
    bench.clock.advance(312);
    const { problem } = await pod(bench);
    expect(problem).toMatch(/pulling the image: 312 s on this rung; given up 30 minutes/);
  });

  it('a port behind which nothing answers is given up after ten minutes, the host to blame [RE-09]', async () => {
    const bench = createLeaseBench();
    bench.world.reach = () => 'closed';
    await bench.create({}, 0);
    bench.clock.advance(60);
    expect(await pod(bench)).toMatchObject({ stage: 'mapped' });
    bench.clock.advance(590);
    expect(await pod(bench)).toMatchObject({ status: 'provisioning' });
    bench.clock.advance(11);
    expect((await pod(bench)).problem).toMatch(/no SSH server answered there for 10 minutes/);
  });

  it('is asked for by all who wait together: 3 callers, 45 s, 5 looks', async () => {
    const bench = createLeaseBench({ cloud: { pollSeconds: 10 } });
    bench.cloud.faults.neverBoots = true;
    await bench.create({}, 0);
    const { podId } = await pod(bench);
    bench.clock.advance(10);
    const before = bench.cloud.calls.length;
    const started = bench.clock.now().getTime();
    const wait = async () =>
      bench.pods.get(podId, { waitFor: 'ready', waitSeconds: 45 }, bench.options);
    await Promise.all([wait(), wait(), wait()]);
    const seconds = (bench.clock.now().getTime() - started) / 1000;
    expect(seconds).toBeGreaterThanOrEqual(45);
    const calls = bench.cloud.calls.slice(before);
    expect(new Set(calls)).toEqual(new Set(['getPod']));
    expect(calls.length).toBeLessThanOrEqual(Math.ceil(seconds / 10));
    expect(calls.length).toBeLessThanOrEqual(5);
  });

  it('is told with the age it has', async () => {
    const bench = createLeaseBench({ cloud: { pollSeconds: 10 } });
    await bench.create({}, 0);
    const first = (await pod(bench)).observedAt;
    bench.clock.advance(9);
    expect((await pod(bench)).observedAt).toBe(first);
    bench.clock.advance(1);
    expect((await pod(bench)).observedAt).toBe(bench.clock.now().toISOString());
  });

  it('not finding a pod in its first minute is transient [RE-11]', async () => {
    const bench = createLeaseBench();
    bench.cloud.faults.neverBoots = true;
    await bench.create({}, 0);
    Object.assign(bench.cloud.faults, { getMisses: 1, listMisses: 1 });
    expect((await pod(bench)).status).toBe('provisioning');
    expect((await lease(bench)).state).toBe('open');
  });
});

it('readiness comes at most 2 s after the pod first lets us in, at a cloud that is asked every 10 s', async () => {
  for (const opensAfter of [3.1, 7.7, 14.2, 21.9]) {
    const bench = createLeaseBench({ cloud: { bootSeconds: 0, pollSeconds: 10 } });
    bench.world.ssh = silent;
    const opens = bench.clock.now().getTime() + opensAfter * 1000;
    bench.world.reach = () => {
      const isOpen = bench.clock.now().getTime() >= opens;
      if (isOpen) bench.world.ssh = undefined;
      return isOpen ? 'ssh' : 'closed';
    };
    expect(await bench.create({}, 45)).toMatchObject({ status: 'ready' });
    const { readyAt = '' } = await lease(bench);
    expect(Date.parse(readyAt) - opens).toBeLessThanOrEqual(2000);
    expect(count(bench, 'getPod')).toBeLessThanOrEqual(4);
  }
});

it('a card of another kind than was sold fails on its own rung [OF-17] [RE-13]', async () => {
  const bench = createLeaseBench();
  bench.world.gpuLines = ['NVIDIA GeForce RTX 3090, 24576'];
  expect(await bench.create()).toMatchObject({
    status: 'failed',
    attempts: [{ stage: 'command', reason: 'The GPU is another one than was paid for.' }],
  });
  expect(await lease(bench)).toMatchObject({ blame: 'host' });
});

it('a disk without room fails on its own rung, with the GPU known [RE-05]', async () => {
  const bench = createLeaseBench();
  bench.world.diskLines = ['diskKb=8388608 8388608', 'inodes=100000 90000'];
  expect(await bench.create()).toMatchObject({ status: 'failed', attempts: [{ stage: 'gpu' }] });
  expect((await lease(bench)).measured).toMatchObject({ vramGb: 24, diskGb: 8 });
});
