import { describe, expect, it } from 'vitest';
import { offerIdSchema } from '../../../../src/core/ids.ts';
import type { OfferQuery } from '../../../../src/core/offer.ts';
import {
  type AvailabilityRow,
  availabilityRows,
  bestCandidate,
  ranked,
} from '../../../../src/providers/runpod/availability.ts';
import { type Catalog, stockOf } from '../../../../src/providers/runpod/catalog.ts';
import { cudaOfImage, envOf, portsOf } from '../../../../src/providers/runpod/create-body.ts';
import { endpointsOf, mappingsOf } from '../../../../src/providers/runpod/endpoint.ts';
import { podIdOf } from '../../../../src/providers/runpod/ids.ts';
import { linesOf } from '../../../../src/providers/runpod/logs.ts';
import { offerIdOf, offerKeyOf, slugOf } from '../../../../src/providers/runpod/offer-id.ts';
import { offersOf, rowFor, toOffer } from '../../../../src/providers/runpod/offers.ts';
import { disksFor } from '../../../../src/providers/runpod/prices.ts';
import { type PodRow, rowOfGraphql, rowOfOld } from '../../../../src/providers/runpod/rows.ts';
import { startOfTemplate } from '../../../../src/providers/runpod/start-command.ts';
import { LAST_END, type PodContext, toPod } from '../../../../src/providers/runpod/translate.ts';
import { graphqlPodSchema } from '../../../../src/providers/runpod/wire.ts';
import { oldPodSchema } from '../../../../src/providers/runpod/wire-rest.ts';
import { fc } from '../../../support/property.ts';

const NOW = new Date('2026-11-20T12:00:00.000Z');
const ID = '50qynxzilsxoey';
const CONTEXT: PodContext = { isLocal: false, hasGateway: true, now: NOW, recent: undefined };

/** The pod of runpod.md 4.5, as GraphQL answers it once it is up. */
const UP = {
  id: ID,
  name: 'trainer-1',
  desiredStatus: 'RUNNING',
  lastStatusChange:
    'Rented by User: Fri Nov 20 2026 10:14:40 GMT+0000 (Coordinated Universal Time)',
  costPerHr: 0.34,
  gpuCount: 1,
  containerDiskInGb: 20,
  volumeInGb: 52,
  machine: { podHostId: `${ID}-64410065` },
  runtime: {
    uptimeInSeconds: 31,
    ports: [
      {
        ip: '100.65.0.101',
        isIpPublic: false,
        privatePort: 8888,
        publicPort: 60_141,
        type: 'http',
      },
      {
        ip: '213.173.108.12',
        isIpPublic: true,
        privatePort: 22,
        publicPort: 15_071,
        type: 'tcp',
      },
    ] as unknown,
  },
};
const rowOf = (changes: Readonly<Record<string, unknown>> = {}): PodRow =>
  rowOfGraphql(graphqlPodSchema.parse({ ...UP, ...changes }));
const podOf = (
  changes: Readonly<Record<string, unknown>> = {},
  context: Partial<PodContext> = {},
) => toPod(rowOf(changes), { ...CONTEXT, ...context });
const withPorts = (...ports: readonly unknown[]) => ({ runtime: { uptimeInSeconds: 1, ports } });

describe('the way to a pod', () => {
  it('is the public mapping of private port 22, with the gateway beside it (runpod.md 5.1, 5.2) [PR-16]', () => {
    const podId = podIdOf(ID);
    expect(podOf()).toMatchObject({
      status: 'running',
      endpoint: {
        podId,
        host: '213.173.108.12',
        port: 15_071,
        user: 'root',
        secondUser: 'unsloth',
        route: 'direct',
      },
      fallback: { podId, host: 'ssh.runpod.io', port: 22, user: `${ID}-64410065`, route: 'proxy' },
      portMappings: [
        '8888/http -> 100.65.0.101:60141 (private)',
        '22/tcp -> 213.173.108.12:15071 (public)',
      ],
    });
  });

  it.each([
    [
      'another public port',
      { ip: '1.2.3.4', isIpPublic: true, privatePort: 8888, publicPort: 9, type: 'tcp' },
    ],
    [
      'a private mapping of 22',
      { ip: '100.65.1.1', isIpPublic: false, privatePort: 22, publicPort: 9, type: 'tcp' },
    ],
    [
      'an HTTP mapping of 22',
      { ip: '1.2.3.4', isIpPublic: true, privatePort: 22, publicPort: 9, type: 'http' },
    ],
    [
      'an address of a private network called public',
      { ip: '10.0.0.7', isIpPublic: true, privatePort: 22, publicPort: 9, type: 'tcp' },
    ],
    [
      'this machine called public',
      { ip: '127.0.0.1', isIpPublic: true, privatePort: 22, publicPort: 9, type: 'tcp' },
    ],
    [
      'no port number',
      { ip: '1.2.3.4', isIpPublic: true, privatePort: 22, publicPort: null, type: 'tcp' },
    ],
    [
      'what is no host',
      { ip: '-oProxyCommand=x', isIpPublic: true, privatePort: 22, publicPort: 9, type: 'tcp' },
    ],
  ])('%s is none [RE-06]', (_name, port) => {
    const pod = podOf(withPorts(port));
    expect(pod?.status).toBe('running');
    expect(pod?.endpoint).toBeUndefined();
  });

  it('a mapping of 22 without a protocol counts, one with it comes first (runpod.md 5.2)', () => {
    const bare = { ip: '1.2.3.4', isIpPublic: true, privatePort: 22, publicPort: 9, type: '' };
    expect(podOf(withPorts(bare))?.endpoint?.port).toBe(9);
    expect(podOf(withPorts(bare, { ...bare, type: 'tcp', publicPort: 10 }))?.endpoint?.port).toBe(
      10,
    );
  });

  it('ports null while running is running without a way [RE-07]', () => {
    for (const runtime of [{ uptimeInSeconds: 3, ports: null }, { ports: [] }, {}])
      expect(podOf({ runtime })).toMatchObject({ status: 'running', label: 'trainer-1' });
    expect(podOf({ runtime: { ports: null } })?.endpoint).toBeUndefined();
  });

  it('the gateway can be switched off, and a chosen user is the only one [CR-29] [PR-15]', () => {
    const pod = podOf({}, { hasGateway: false, user: 'trainer' });
    expect(pod?.fallback).toBeUndefined();
    expect(pod?.endpoint).toMatchObject({ user: 'trainer' });
    expect(pod?.endpoint).not.toHaveProperty('secondUser');
    expect(podOf({ machine: null })?.fallback).toBeUndefined();
    expect(podOf({ machine: { podHostId: 'evil user@host' } })?.fallback).toBeUndefined();
  });

  it('only a running pod has one: an exited pod may list old ports (runpod.md 5.2)', () => {
    const pod = podOf({ desiredStatus: 'EXITED' });
    expect(pod?.status).toBe('stopped');
    expect(pod).not.toHaveProperty('endpoint');
    expect(pod).not.toHaveProperty('portMappings');
  });

  it('right after a start the address from before is not believed (runpod.md 4.7)', () => {
    const recent = { order: 'start' as const, secondsAgo: 20 };
    const old = podOf({ runtime: { ...UP.runtime, uptimeInSeconds: 4000 } }, { recent });
    expect(old?.status).toBe('provisioning');
    expect(old?.endpoint).toBeUndefined();
    expect(podOf({ runtime: { ...UP.runtime, uptimeInSeconds: 12 } }, { recent })?.status).toBe(
      'running',
    );
  });

  it('a container that has run for less than the one before is a new one, however fast the cloud is', () => {
    const recent = { order: 'start' as const, secondsAgo: 2, uptimeBefore: 900 };
    const statusAt = (uptimeInSeconds: number) =>
      podOf({ runtime: { ...UP.runtime, uptimeInSeconds } }, { recent })?.status;
    expect(statusAt(120)).toBe('running');
    expect(statusAt(900)).toBe('provisioning');
    expect(statusAt(960)).toBe('provisioning');
  });

  it('REST v1 tells an address and mappings; 100.64/10 is the proxy (runpod.md 10)', () => {
    const old = (changes: object) =>
      rowOfOld(
        oldPodSchema.parse({
          id: ID,
          name: 'x',
          desiredStatus: 'RUNNING',
          costPerHr: '0.74',
          publicIp: '194.68.245.31',
          portMappings: { 22: 22_114 },
          lastStartedAt: '2026-10-02 05:28:38.366 +0000 UTC',
          ...changes,
        }),
      );
    const podId = podIdOf(ID);
    expect(endpointsOf(podId, old({}), CONTEXT).endpoint).toMatchObject({ port: 22_114 });
    expect(toPod(old({}), CONTEXT)).toMatchObject({
      usdPerHour: 0.74,
      createdAt: '2026-10-02T05:28:38.366Z',
    });
    expect(endpointsOf(podId, old({ publicIp: '100.65.0.1' }), CONTEXT)).toEqual({});
    expect(toPod(old({ publicIp: '', portMappings: null }), CONTEXT)?.status).toBe('provisioning');
  });

  it('never throws, and never leads to another port, whatever is told', () => {
    const port = fc.record({
      ip: fc.oneof(fc.ipV4(), fc.string(), fc.constant(null)),
      isIpPublic: fc.oneof(fc.boolean(), fc.constant(null)),
      privatePort: fc.oneof(fc.constant(22), fc.integer(), fc.string(), fc.constant(null)),
      publicPort: fc.oneof(fc.integer(), fc.double(), fc.constant(null)),
      type: fc.oneof(fc.constantFrom('tcp', 'http'), fc.string(), fc.constant(null)),
    });
    fc.assert(
      fc.property(fc.array(port, { maxLength: 6 }), (ports) => {
        const row = rowOf(withPorts(...ports));
        const { endpoint } = endpointsOf(podIdOf(ID), row, CONTEXT);
        mappingsOf(row);
        if (endpoint === undefined) return;
        expect(
          ports.some(
            ({ ip, isIpPublic, privatePort, publicPort, type }) =>
              ip === endpoint.host &&
              isIpPublic !== false &&
              Number(privatePort) === 22 &&
              publicPort === endpoint.port &&
              type !== 'http',
          ),
        ).toBe(true);
      }),
    );
  });
});

describe('the state of a pod', () => {
  it.each([
    [{ runtime: null }, 'provisioning'],
    [{ desiredStatus: 'CREATED', runtime: null }, 'provisioning'],
    [{ desiredStatus: 'RESTARTING' }, 'provisioning'],
    [{ desiredStatus: 'EXITED', runtime: null }, 'stopped'],
    [{ desiredStatus: 'EXITED' }, 'stopped'],
    [{ desiredStatus: 'DEAD' }, 'failed'],
    [{ desiredStatus: 'SOMETHING_NEW' }, 'unknown'],
  ])('%j is %s (runpod.md 4.7)', (changes, status) => {
    expect(podOf(changes)?.status).toBe(status);
  });

  it('TERMINATED is gone', () => {
    expect(podOf({ desiredStatus: 'TERMINATED' })).toBeUndefined();
  });

  it('names the reason of a stop that nobody ordered', () => {
    const change = (word: string) => ({
      desiredStatus: 'EXITED',
      lastStatusChange: `${word}: now`,
    });
    expect(podOf(change('Outbid'))).toMatchObject({ blame: 'outbid', status: 'stopped' });
    expect(podOf(change('Exited by Runpod'))?.problem).toContain('balance');
    expect(podOf(change('Exited by user'))).not.toHaveProperty('problem');
  });

  it('costs the GPUs and both disks while it runs, and only /workspace at twice the rate when stopped', () => {
    expect(podOf()?.usdPerHour).toBeCloseTo(0.34 + (72 * 0.1) / 720, 6);
    expect(podOf({ desiredStatus: 'EXITED' })?.usdPerHour).toBeCloseTo((52 * 0.2) / 720, 6);
  });

  it('its creation is told in UTC, from the status line where nothing else tells it', () => {
    expect(podOf()?.createdAt).toBe('2026-11-20T10:14:40.000Z');
    expect(podOf({ createdAt: '2026-11-20T10:14:39Z' })?.createdAt).toBe(
      '2026-11-20T10:14:39.000Z',
    );
  });

  it('says when RunPod will end it, once that is near', () => {
    const env = (end: string) => ({ env: ['A=b=c', `${LAST_END}=${end}`] });
    expect(podOf(env('2026-11-20T14:00:00.000Z'))?.problem).toContain('2026-11-20T14:00:00.000Z');
    expect(podOf(env('2026-11-21T14:00:00.000Z'))).not.toHaveProperty('problem');
    expect(podOf(env('nonsense'))).not.toHaveProperty('problem');
  });
});

const CATALOG: Catalog = {
  gpus: [
    {
      id: 'NVIDIA GeForce RTX 4090',
      name: 'RTX 4090',
      vramGb: 24,
      clouds: {
        secure: { stock: 'medium', usdPerGpu: 0.69, leastBidPerGpu: 0.4, mostGpus: 8 },
        community: { stock: 'low', usdPerGpu: 0.34, mostGpus: 4, counts: [1, 2] },
      },
    },
    {
      id: 'NVIDIA L4',
      name: 'L4',
      vramGb: 24,
      clouds: { secure: { stock: 'none', usdPerGpu: 0.49, mostGpus: 8 } },
    },
  ],
  dataCenters: [
    {
      id: 'US-KS-2',
      place: 'Kansas',
      hasStorage: true,
      isCreatable: true,
      stock: new Map([['NVIDIA GeForce RTX 4090', 'low']]),
    },
    {
      id: 'EU-RO-1',
      place: 'Romania',
      hasStorage: true,
      isCreatable: true,
      stock: new Map([['NVIDIA GeForce RTX 4090', 'high']]),
    },
    {
      id: 'US-TX-1',
      place: 'Texas',
      isCreatable: false,
      stock: new Map([['NVIDIA GeForce RTX 4090', 'high']]),
    },
  ],
};
const QUERY: OfferQuery = {
  gpu: [],
  gpuCount: 1,
  minVramGb: 1,
  diskGb: 50,
  minReliability: 0,
  regions: [],
  interruptible: false,
};
const NONE: ReadonlySet<string> = new Set();

describe('availability', () => {
  it('has a row for every place and cloud, sold or not [OF-10]', () => {
    const rows = availabilityRows(CATALOG, new Set(['EU-RO-1']));
    const told = rows.map(({ gpu, cloud, dataCenter, stock, isCreatable, storage }) =>
      [gpu.name, cloud, dataCenter?.id ?? 'any', stock, isCreatable, storage].join(' '),
    );
    expect(told).toEqual([
      'RTX 4090 community any low true unsupported',
      'RTX 4090 secure any medium true unsupported',
      'RTX 4090 secure US-KS-2 low true supported',
      'RTX 4090 secure EU-RO-1 high true failed',
      'RTX 4090 secure US-TX-1 high false unknown',
      'L4 secure any none true unsupported',
      'L4 secure US-KS-2 none true supported',
      'L4 secure EU-RO-1 none true failed',
      'L4 secure US-TX-1 none false unknown',
    ]);
  });

  it('the best candidate is available and creatable, then of storage not known to fail [OF-11] [OF-13]', () => {
    const pinned = (failed: ReadonlySet<string>): readonly AvailabilityRow[] =>
      availabilityRows(CATALOG, failed).filter(({ dataCenter }) => dataCenter !== undefined);
    const best = (rows: readonly AvailabilityRow[]): string | undefined =>
      bestCandidate(rows)?.dataCenter?.id;
    expect(best(pinned(NONE))).toBe('EU-RO-1');
    expect(best(pinned(new Set(['EU-RO-1'])))).toBe('US-KS-2');
    const withoutKansas = pinned(NONE).filter(({ dataCenter }) => dataCenter?.id === 'US-TX-1');
    expect(best(withoutKansas)).toBe('US-TX-1');
    expect(best(pinned(NONE).filter(({ stock }) => stock === 'none'))).toBeUndefined();
    expect(ranked([])).toEqual([]);
  });

  it('pins no place unless a GPU or a region is asked for, and offers nothing without stock [OF-21]', () => {
    const ids = (query: Partial<OfferQuery>) =>
      offersOf(CATALOG, { ...QUERY, ...query }, NONE).map(({ offerId }) => offerId as string);
    expect(ids({}).sort()).toEqual([
      'runpod:community/nvidia-geforce-rtx-4090/any/1',
      'runpod:secure/nvidia-geforce-rtx-4090/any/1',
    ]);
    expect(ids({ regions: ['EU-RO-1'] })).toContain(
      'runpod:secure/nvidia-geforce-rtx-4090/eu-ro-1/1',
    );
    expect(ids({ gpu: ['4090'] })).toHaveLength(5);
    expect(ids({ gpuCount: 4 })).toEqual(['runpod:secure/nvidia-geforce-rtx-4090/any/4']);
    expect(ids({ interruptible: true })).toEqual([
      'runpod:secure/nvidia-geforce-rtx-4090/any/1/spot',
    ]);
  });

  it('tells the price of the whole pod with its disks, and of a stopped one [OF-03] [OF-20]', () => {
    const [row] = availabilityRows(CATALOG, NONE).filter(({ cloud }) => cloud === 'secure');
    if (row === undefined) throw new Error('There is no row.');
    const offer = toOffer(row, 2, { diskGb: 50, interruptible: false, gpuCount: 2 });
    expect(offer).toMatchObject({ gpuUsdPerHour: 1.38, region: 'any (secure cloud)' });
    expect(offer?.diskUsdPerHour).toBeCloseTo((70 * 0.1) / 720, 9);
    expect(offer?.usdPerHour).toBeCloseTo(1.38 + (70 * 0.1) / 720, 9);
    expect(offer?.usdPerHourStopped).toBeCloseTo((50 * 0.2) / 720, 9);
    const bid = toOffer(row, 2, { diskGb: 50, interruptible: true, gpuCount: 2 });
    expect(bid?.minBidUsdPerHour).toBeCloseTo(0.8, 9);
  });

  it('says in plain words what stands against an offer [OF-12] [OF-13]', () => {
    const offers = offersOf(CATALOG, { ...QUERY, regions: ['x'] }, new Set(['US-KS-2']));
    const warnings = (place: string) =>
      offers.find(({ region }) => region.startsWith(place))?.warnings?.join(' ') ?? '';
    expect(warnings('US-TX-1')).toContain('takes no new pods');
    expect(warnings('US-KS-2')).toContain('A volume was refused');
    expect(warnings('EU-RO-1')).toBe('');
  });

  it.each([
    ['High', 'high'],
    ['MEDIUM', 'medium'],
    ['Low', 'low'],
    ['None', 'none'],
    ['Out', 'none'],
    [null, 'none'],
    [undefined, 'none'],
  ])('stock %s is %s (runpod.md 9)', (level, stock) => {
    expect(stockOf(level)).toBe(stock);
  });
});

describe('the id of an offer', () => {
  it('says what it is, and is read back', () => {
    const key = fc.record({
      cloud: fc.constantFrom('secure' as const, 'community' as const),
      gpu: fc.constantFrom(...['NVIDIA H100 80GB HBM3', 'AMD Instinct MI300X OAM'].map(slugOf)),
      dataCenterId: fc.constantFrom('US-KS-2', 'EUR-IS-1', 'CA-MTL-3', undefined),
      gpuCount: fc.integer({ min: 1, max: 16 }),
      isSpot: fc.boolean(),
    });
    fc.assert(
      fc.property(key, (each) => {
        const { dataCenterId, ...rest } = each;
        const place = dataCenterId === undefined ? {} : { dataCenterId };
        expect(offerKeyOf(offerIdOf(each))).toEqual({ ...rest, ...place });
      }),
    );
  });

  it.each([
    'runpod:no-such-offer',
    'runpod:secure/x/any/0',
    'vast:1',
    'runpod:secure/rtx/any/1/spot/x',
  ])('%s is none of ours', (id) => {
    expect(offerKeyOf(offerIdSchema.parse(id))).toBeUndefined();
  });

  it('finds its row, in its place and no other', () => {
    const rows = availabilityRows(CATALOG, NONE);
    const key = { cloud: 'secure', gpu: 'nvidia-geforce-rtx-4090' };
    expect(rowFor(rows, key)?.dataCenter).toBeUndefined();
    expect(rowFor(rows, { ...key, dataCenterId: 'EU-RO-1' })?.dataCenter?.id).toBe('EU-RO-1');
    expect(rowFor(rows, { ...key, dataCenterId: 'EU-XX-1' })).toBeUndefined();
    expect(rowFor(rows, { ...key, gpu: 'nvidia-h100' })).toBeUndefined();
  });
});

describe('what a creation sends', () => {
  it('ports: 22/tcp, those of the template and those asked for, each once [CR-13]', () => {
    expect(portsOf([], [])).toEqual(['22/tcp']);
    expect(portsOf(['8888/http', '22/tcp'], ['8888/http', '6006/http', 'junk'])).toEqual([
      '22/tcp',
      '8888/http',
      '6006/http',
    ]);
    expect(() => portsOf(['53/udp'], [])).toThrow('UDP');
    const many = Array.from({ length: 11 }, (_none, index) => `${8000 + index}/http`);
    expect(() => portsOf(many, [])).toThrow('at most 10');
  });

  it('our key goes into PUBLIC_KEY after the template, and replaces no other [KE-05] [CR-11]', () => {
    const mine = 'ssh-ed25519 MINE me';
    const env = envOf(
      { env: { A: '1', EMPTY: '' }, sshPublicKey: `${mine}\n` },
      { PUBLIC_KEY: 'ssh-rsa THEIRS', A: '0', B: '2' },
      undefined,
    );
    expect(env).toEqual({
      A: '1',
      B: '2',
      PUBLIC_KEY: `ssh-rsa THEIRS\n${mine}`,
      SSH_PUBLIC_KEY: mine,
    });
    const literal = envOf({ env: {}, sshPublicKey: mine }, { PUBLIC_KEY: 'null' }, undefined);
    expect(literal['PUBLIC_KEY']).toBe(mine);
    const tooMany = Object.fromEntries(Array.from({ length: 60 }, (_none, n) => [`V${n}`, 'x']));
    expect(() => envOf({ env: tooMany, sshPublicKey: mine }, {}, undefined)).toThrow('50');
  });

  it.each([
    ['runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404', '12.8'],
    ['pytorch/pytorch:2.5.1-cuda12.1-cudnn9-runtime', '12.1'],
    ['x/y:torch2-cu124', '12.4'],
    ['ubuntu:22.04', undefined],
  ])('the CUDA of %s is %s', (image, cuda) => {
    expect(cudaOfImage(image)).toBe(cuda);
  });

  it('disks: a template that wants more for its container gets it out of /workspace', () => {
    expect(disksFor(64, false)).toEqual({ containerDiskGb: 20, volumeDiskGb: 64 });
    expect(disksFor(64, false, 50)).toEqual({ containerDiskGb: 50, volumeDiskGb: 34 });
    expect(disksFor(5, false, 50)).toEqual({ containerDiskGb: 20, volumeDiskGb: 10 });
    expect(disksFor(30, true)).toEqual({ containerDiskGb: 30, volumeDiskGb: 0 });
  });

  it.each([
    [{ image: 'runpod/pytorch:x', startCommand: '' }, 'own'],
    [{ image: 'unsloth/unsloth', startCommand: '' }, 'untouchable'],
    [{ image: 'vllm/vllm', startCommand: '--model x' }, 'untouchable'],
    [{ image: 'me/x', startCommand: "bash -c 'a; sleep 1'" }, 'then'],
    [{ image: 'me/x', startCommand: '{"cmd":["--serve"]}' }, 'untouchable'],
    [{ image: 'me/x', startCommand: '{"entrypoint":["sh","-c"],"cmd":["a b"]}' }, 'then'],
    [{ image: 'me/x', startCommand: '{broken' }, 'untouchable'],
  ])('the start of %j is %s [CR-12]', (template, kind) => {
    expect(startOfTemplate(template).kind).toBe(kind);
  });
});

describe('lines of a log', () => {
  it('are those of whole events; comments, empty frames and a cut one are not (runpod.md 12)', () => {
    const event = (source: string, line: string) =>
      `id: 1\ndata: ${JSON.stringify({ ts: 'x', source, line })}\n\n`;
    const text = `:keep-alive\n\n${event('system', 'create container')}data:\n\n${event('container', '')}${event('container', 'Model loaded.')}data: {"ts":"x","li`;
    expect(linesOf(text)).toEqual(['[system] create container', '', 'Model loaded.']);
  });
});
