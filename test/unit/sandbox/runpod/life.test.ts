import { afterEach, describe, expect, it } from 'vitest';
import { type Bench, type Loose, openBench, RTX_4090, START } from './bench.ts';

const portsOf = (pod: Loose | null): Loose[] | null | undefined =>
  (pod?.['runtime'] as { ports: Loose[] | null } | null | undefined)?.ports;
const publicPort = (pod: Loose | null): unknown =>
  portsOf(pod)?.find(({ privatePort }) => privatePort === 22)?.['publicPort'];

describe('the life of a pod', () => {
  let bench: Bench;
  afterEach(async () => bench[Symbol.asyncDispose]());
  const stop = async (id: string) =>
    bench.graphql(`mutation { podStop(input: { podId: "${id}" }) { desiredStatus } }`);
  const resume = async (id: string) =>
    bench.graphql(`mutation { podResume(input: { podId: "${id}", gpuCount: 1 }) { id } }`);

  it('has no runtime, then no ports, then private ones, then all (runpod.md 4.7, 17.1.5)', async () => {
    bench = openBench();
    const id = await bench.create();
    const fresh = await bench.pod(id);
    expect(fresh).toMatchObject({ desiredStatus: 'RUNNING', runtime: null, costPerHr: 0.69 });
    expect(fresh?.['lastStatusChange']).toMatch(/^Rented by User: \w{3} \w{3} \d+ 2026 /);
    expect((fresh?.['machine'] as Loose)['podHostId']).toMatch(new RegExp(`^${id}-[0-9a-f]{8}$`));
    expect((await bench.rest(`GET /v2/pods/${id}`)).body['status']).toBe('PROVISIONING');
    await bench.clock.advance(5);
    expect((await bench.rest(`GET /v2/pods/${id}`)).body['status']).toBe('STARTING');
    await bench.clock.advance(56);
    expect(portsOf(await bench.pod(id))).toBeNull();
    await bench.clock.advance(3);
    expect(portsOf(await bench.pod(id))).toEqual([
      expect.objectContaining({ privatePort: 8888, isIpPublic: false, ip: '100.65.0.101' }),
    ]);
    expect((await bench.rest(`GET /v2/pods/${id}`)).body['ssh']).toMatchObject({ direct: null });
    await bench.clock.advance(3);
    const pod = await bench.pod(id);
    expect(portsOf(pod)?.[0]).toMatchObject({ privatePort: 22, isIpPublic: true, type: 'tcp' });
    const v2 = (await bench.rest(`GET /v2/pods/${id}`)).body;
    expect(v2).toMatchObject({
      status: 'RUNNING',
      actions: ['stop', 'restart', 'terminate'],
      ssh: { direct: { host: '127.0.0.1', port: publicPort(pod), username: 'root' } },
    });
    expect((await bench.rest(`GET /v1/pods/${id}`)).body).toMatchObject({
      publicIp: '127.0.0.1',
      portMappings: { 22: publicPort(pod) },
    });
  });

  it('tells its old runtime after a stop for a while and gets a new port (runpod.md 5.2, 17.1.6)', async () => {
    bench = openBench();
    const id = await bench.create();
    await bench.clock.advance(70);
    const before = publicPort(await bench.pod(id));
    expect(before).toEqual(expect.any(Number));
    expect((await stop(id)).data).toEqual({ podStop: { desiredStatus: 'EXITED' } });
    const stopped = await bench.pod(id);
    expect(publicPort(stopped)).toBe(before);
    expect(stopped?.['lastStatusChange']).toMatch(/^Exited by user: /);
    expect((await bench.rest(`GET /v2/pods/${id}`)).body).toMatchObject({
      status: 'EXITED',
      cost: 0,
      actions: ['start', 'terminate'],
    });
    await bench.clock.advance(9);
    expect((await bench.pod(id))?.['runtime']).toBeNull();
    await resume(id);
    await bench.clock.advance(70);
    expect(publicPort(await bench.pod(id))).not.toBe(before);
  });

  it('can tell its old ports after a restart (runpod.md 5.2)', async () => {
    bench = openBench({ faults: [{ kind: 'stale-ports', value: 90 }] });
    const id = await bench.create();
    await bench.clock.advance(70);
    const before = publicPort(await bench.pod(id));
    await stop(id);
    await resume(id);
    await bench.clock.advance(61);
    expect(publicPort(await bench.pod(id))).toBe(before);
    await bench.clock.advance(95);
    expect(publicPort(await bench.pod(id))).not.toBe(before);
  });

  it('cannot be resumed while somebody else has its GPUs (runpod.md 3.1)', async () => {
    bench = openBench();
    const id = await bench.create({ gpuCount: 8 });
    await stop(id);
    const { machineId } = bench.booked(id);
    for (const host of bench.cloud.hosts)
      if (host.gpu.id === RTX_4090 && host.machineId !== machineId) host.gpus = 0;
    await bench.create({ gpuCount: 4 });
    const message = 'There are not enough free GPUs on the host machine to start this pod.';
    expect((await resume(id)).errors?.[0]?.message).toBe(message);
    const v1 = await bench.rest(`POST /v1/pods/${id}/start`);
    expect([v1.status, v1.body['error']]).toEqual([500, `start pod: ${message}`]);
    const v2 = await bench.rest(`POST /v2/pods/${id}/action`, { action: 'start' });
    expect([v2.status, v2.body['detail']]).toEqual([400, message]);
  });

  it.each([
    ['no-runtime', 3_600, (pod: Loose | null) => pod?.['runtime'], null],
    ['ports-null', 3_600, portsOf, null],
    ['ports-late', 600, portsOf, null],
    ['private-only', 3_600, publicPort, expect.any(Number)],
  ] as const)('with %s shows what it should for %d seconds', async (kind, seconds, look, seen) => {
    bench = openBench({ faults: [{ kind }] });
    const id = await bench.create();
    await bench.clock.advance(seconds);
    expect(look(await bench.pod(id))).toEqual(seen);
    await bench.clock.advance(100);
    const after = await bench.pod(id);
    const open = portsOf(after)?.filter(({ isIpPublic }) => isIpPublic) ?? [];
    expect(open).toHaveLength(kind === 'ports-late' ? 1 : 0);
    expect(after?.['desiredStatus']).toBe('RUNNING');
  });

  it('is billed from the create to the end, and only its volume while stopped (runpod.md 7)', async () => {
    bench = openBench();
    const id = await bench.create({ containerDiskInGb: 73, volumeInGb: 730 });
    await bench.clock.advance(3_600);
    expect(bench.booked(id).spentUsd).toBeCloseTo(0.69 + 0.11, 6);
    await stop(id);
    await bench.clock.advance(3_600);
    expect(bench.booked(id).spentUsd).toBeCloseTo(0.8 + 0.2, 6);
    await bench.graphql(`mutation { podTerminate(input: { podId: "${id}" }) }`);
    await bench.clock.advance(36_000);
    expect(bench.booked(id)).toMatchObject({ state: 'destroyed', billing: false });
    expect(bench.booked(id).spentUsd).toBeCloseTo(1, 6);
  });

  it('loses pods without a network volume when the money is gone, and stops the others (runpod.md 7)', async () => {
    bench = openBench({ creditUsd: 3 });
    const made = await bench.graphql(
      'mutation { createNetworkVolume(input: { name: "data", size: 10, dataCenterId: "US-KS-2" }) { id } }',
    );
    const networkVolumeId = (made.data?.['createNetworkVolume'] as Loose)['id'];
    const kept = await bench.create({ networkVolumeId });
    const lost = await bench.create();
    await bench.clock.advance(3 * 3_600);
    expect(await bench.pod(lost)).toBeNull();
    expect(await bench.pod(kept)).toMatchObject({ desiredStatus: 'EXITED', runtime: null });
    expect((await bench.pod(kept))?.['lastStatusChange']).toMatch(/^Exited by Runpod: /);
    expect((await bench.graphql('{ myself { underBalance } }')).data).toEqual({
      myself: { underBalance: true },
    });
  });

  it('is outbid, stays stopped, and goes on with a higher bid (runpod.md 14)', async () => {
    bench = openBench({ faults: [{ kind: 'outbid', afterSeconds: 30 }] });
    const rent = async (bidPerGpu: number) =>
      bench.graphql(
        `mutation { podRentInterruptable(input: { bidPerGpu: ${bidPerGpu}, cloudType: SECURE, gpuTypeId: "${RTX_4090}", gpuCount: 1, imageName: "runpod/base:1", containerDiskInGb: 10, ports: "22/tcp" }) { id podType costPerHr } }`,
      );
    expect((await rent(0.1)).errors?.[0]?.message).toMatch(/request specifications/);
    const { data } = await rent(0.4);
    const pod = data?.['podRentInterruptable'] as Loose;
    expect(pod).toMatchObject({ podType: 'INTERRUPTABLE', costPerHr: 0.4 });
    const id = String(pod['id']);
    await bench.clock.advance(100);
    expect((await bench.pod(id))?.['lastStatusChange']).toMatch(/^Outbid: /);
    expect(bench.booked(id)).toMatchObject({ state: 'EXITED', billing: false });
    await bench.graphql(
      `mutation { podBidResume(input: { podId: "${id}", bidPerGpu: 0.5, gpuCount: 1 }) { id } }`,
    );
    await bench.clock.advance(100);
    expect(await bench.pod(id)).toMatchObject({ desiredStatus: 'RUNNING', costPerHr: 0.5 });
  });

  it.each([true, false])(
    'ends at terminateAfter when that is honoured: %s (runpod.md 1.1)',
    async (honoursDeadlines) => {
      bench = openBench({ options: { honoursDeadlines } });
      const terminateAfter = new Date((START + 600) * 1_000).toISOString();
      const id = await bench.create({ terminateAfter });
      await bench.clock.advance(599);
      expect(await bench.pod(id)).not.toBeNull();
      await bench.clock.advance(2);
      expect((await bench.pod(id)) === null).toBe(honoursDeadlines);
    },
  );

  it.each(['terminate-lingers', 'terminate-ignored', 'terminate-fails', 'terminate-404'] as const)(
    'lives and bills on with %s',
    async (kind) => {
      bench = openBench({ faults: [{ kind, times: 1 }] });
      const id = await bench.create();
      const end = `mutation { podTerminate(input: { podId: "${id}" }) }`;
      const { errors } = await bench.graphql(end);
      expect(errors?.[0]?.extensions.code).toBe(
        { 'terminate-fails': 'INTERNAL_SERVER_ERROR', 'terminate-404': 'POD_NOT_FOUND' }[
          kind as string
        ],
      );
      await bench.clock.advance(30);
      expect(bench.booked(id).billing).toBe(true);
      await bench.clock.advance(31);
      expect(bench.booked(id).billing).toBe(kind !== 'terminate-lingers');
    },
  );
});
