import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../../src/core/call.ts';
import type { FaultRule } from '../../../../src/core/sandbox.ts';
import { createSandboxClock } from '../../../../src/sandbox/clock.ts';
import { createFaultBook } from '../../../../src/sandbox/faults.ts';
import type { FakeAnswer } from '../../../../src/sandbox/http.ts';
import { createLambdaCloud } from '../../../../src/sandbox/lambda/cloud.ts';
import { LAMBDA_FAULTS } from '../../../../src/sandbox/lambda/fault-kinds.ts';
import type { LambdaOptions } from '../../../../src/sandbox/lambda/options.ts';
import { createMeter } from '../../../../src/sandbox/meter.ts';
import { createNoMachines } from '../../../../src/sandbox/no-machines.ts';
import { createRandom } from '../../../../src/sandbox/random.ts';

const KEY = 'lambda-sandbox-key';
type Loose = Record<string, unknown>;

/** A fake Lambda whose time stands still until it is turned, asked in process. */
function open(options: Partial<LambdaOptions> = {}, faults: readonly FaultRule[] = []) {
  const clock = createSandboxClock({ clock: systemClock, speed: 0, startSeconds: 1_786_000_000 });
  const meter = createMeter(clock);
  const book = createFaultBook({ clock, seed: 7, kinds: () => ({ lambda: LAMBDA_FAULTS }) });
  for (const rule of faults) book.add(rule);
  const cloud = createLambdaCloud({
    clock,
    machines: createNoMachines(),
    meter,
    faults: book.of('lambda'),
    seed: 7,
    random: createRandom(7),
    origin: () => 'http://127.0.0.1:1',
    options: { bootSeconds: 60, ...options },
  });
  const raw = async (
    line: string,
    body?: unknown,
    authorization = `Bearer ${KEY}`,
  ): Promise<FakeAnswer> => {
    const [method = 'GET', path = '/'] = line.split(' ');
    return cloud.handle({
      method,
      path: `/api/v1${path}`,
      query: new URLSearchParams(),
      headers: { authorization },
      body,
      rawBody: body === undefined ? '' : JSON.stringify(body),
    });
  };
  const data = async (line: string, body?: unknown): Promise<unknown> => {
    const answer = await raw(line, body);
    expect(answer, line).toMatchObject({ status: 200 });
    return (answer.body as { data: unknown }).data;
  };
  return {
    cloud,
    clock,
    book,
    raw,
    data,
    refusal: async (line: string, body?: unknown): Promise<string> => {
      const { status, body: told } = await raw(line, body);
      const { error } = told as { error: { code: string; message: string } };
      expect(error.message).toMatch(/\S/);
      return `${status} ${error.code}`;
    },
    /** Registers the key and launches the smallest machine. */
    async launch(more: Loose = {}): Promise<string> {
      await data('POST /ssh-keys', { name: 'k', public_key: 'ssh-ed25519 AAAA me' });
      const made = (await data('POST /instance-operations/launch', order(more))) as {
        instance_ids: string[];
      };
      expect(made.instance_ids).toHaveLength(1);
      return made.instance_ids[0] ?? '';
    },
    show: async (id: string) => (await data(`GET /instances/${id}`)) as Loose,
    async [Symbol.asyncDispose]() {
      await cloud[Symbol.asyncDispose]();
      clock[Symbol.dispose]();
    },
  };
}
const order = (more: Loose = {}): Loose => ({
  region_name: 'us-west-1',
  instance_type_name: 'gpu_1x_a10',
  ssh_key_names: ['k'],
  ...more,
});
const LAUNCH = 'POST /instance-operations/launch';

describe('the made-up Lambda (lambda.md 18)', () => {
  it('takes the key as Bearer and in both forms of Basic, and no other', async () => {
    await using bench = open();
    const basic = Buffer.from(`${KEY}:`).toString('base64');
    for (const word of [`Bearer ${KEY}`, `Basic ${basic}`, `Basic ${KEY}`])
      expect((await bench.raw('GET /regions', undefined, word)).status).toBe(200);
    for (const word of ['', 'Bearer x', 'Basic x'])
      expect(await bench.raw('GET /regions', undefined, word)).toMatchObject({
        status: 401,
        body: { error: { code: 'global/invalid-api-key' } },
      });
    expect(await bench.refusal('GET /stop')).toBe('404 global/not-found');
  });

  it('boots without an address, is active with one, and tells no time of creation', async () => {
    await using bench = open();
    const id = await bench.launch({ name: 'gl-1', tags: [{ key: 'a1', value: 'b' }] });
    const booting = await bench.show(id);
    expect(booting).toMatchObject({ status: 'booting', name: 'gl-1' });
    expect(booting['ip']).toBeUndefined();
    expect(bench.cloud.books()[0]?.billing).toBe(false);
    await bench.clock.advance(61);
    const active = await bench.show(id);
    expect(active).toMatchObject({ status: 'active', ip: '127.0.0.1', tags: [{ key: 'a1' }] });
    expect(Object.keys(active).join()).not.toMatch(/creat/);
    await bench.clock.advance(3600);
    expect(bench.cloud.books()[0]).toMatchObject({ billing: true, usdPerHour: 1.29 });
  });

  it('an hour costs what an hour costs, and nothing from the order of the end on', async () => {
    await using bench = open();
    const id = await bench.launch();
    await bench.clock.advance(60 + 3600);
    await bench.data('POST /instance-operations/terminate', { instance_ids: [id] });
    expect((await bench.show(id))['status']).toBe('terminating');
    await bench.clock.advance(13);
    expect((await bench.show(id))['status']).toBe('terminated');
    await bench.clock.advance(3600);
    expect(await bench.refusal(`GET /instances/${id}`)).toBe('404 global/object-does-not-exist');
    expect(await bench.data('GET /instances')).toEqual([]);
    const [line] = bench.cloud.books();
    expect(line).toMatchObject({ state: 'destroyed', billing: false });
    expect(line?.spentUsd).toBeCloseTo(1.29, 5);
  });

  it.each([
    [{ ssh_key_names: ['k', 'k'] }, '400 global/invalid-parameters'],
    [{ ssh_key_names: ['unknown'] }, '404 global/object-does-not-exist'],
    [{ region_name: 'mars-1' }, '404 global/object-does-not-exist'],
    [{ instance_type_name: 'gpu_1x_x' }, '404 global/object-does-not-exist'],
    [{ quantity: 2 }, '400 global/invalid-parameters'],
    [{ tags: [{ key: 'Upper', value: '' }] }, '400 global/invalid-parameters'],
    [{ tags: [{ key: 'under_score', value: '' }] }, '400 global/invalid-parameters'],
    [{ name: 'x'.repeat(65) }, '400 global/invalid-parameters'],
    [{ image: { family: 'none' } }, '404 global/object-does-not-exist'],
    [{ ssh_keys: [] }, '400 global/invalid-parameters'],
    [{ file_system_names: ['none'] }, '404 global/object-does-not-exist'],
  ])('a launch with %j is refused: %s', async (more, code) => {
    await using bench = open();
    await bench.launch();
    expect(await bench.refusal(LAUNCH, order(more))).toBe(code);
    expect(bench.cloud.instances.size).toBe(1);
  });

  it('takes a quantity of one, as some clients send it', async () => {
    await using bench = open();
    expect(await bench.launch({ quantity: 1 })).toMatch(/^[0-9a-f]{32}$/);
  });

  it('no capacity is a 400, whether it is not listed or vanishes (lambda.md 16.3)', async () => {
    await using bench = open({}, [{ kind: 'no-capacity', times: 1 }]);
    await bench.data('POST /ssh-keys', { name: 'k', public_key: 'ssh-ed25519 AAAA me' });
    const code = '400 instance-operations/launch/insufficient-capacity';
    expect(await bench.refusal(LAUNCH, order())).toBe(code);
    bench.book.add({ kind: 'capacity-vanishes', offerId: 'gpu_1x_a10@us-west-1', times: 1 });
    const regions = async () => {
      const types = (await bench.data('GET /instance-types')) as Record<
        string,
        { regions_with_capacity_available: { name: string }[] }
      >;
      return types['gpu_1x_a10']?.regions_with_capacity_available.map(({ name }) => name);
    };
    expect(await regions()).toContain('us-west-1');
    expect(await bench.refusal(LAUNCH, order())).toBe(code);
    expect(await regions()).not.toContain('us-west-1');
  });

  it('file systems: hyphen to list, none to make; one region, held while in use, charged for what is on them', async () => {
    await using bench = open();
    const body = { name: 'train', region: 'us-west-1' };
    const made = (await bench.data('POST /filesystems', body)) as Loose;
    expect(made).toMatchObject({ mount_point: '/lambda/nfs/train', is_in_use: false });
    expect(await bench.refusal('POST /filesystems', body)).toBe('400 global/duplicate');
    expect(await bench.refusal('GET /filesystems')).toBe('404 global/not-found');
    const away = { region_name: 'us-east-1', file_system_names: ['train'] };
    await bench.data('POST /ssh-keys', { name: 'k', public_key: 'ssh-ed25519 AAAA me' });
    expect(await bench.refusal(LAUNCH, order(away))).toBe(
      '400 instance-operations/launch/file-system-in-wrong-region',
    );
    const id = await bench.launch({ file_system_names: ['train'] });
    const remove = `DELETE /filesystems/${String(made['id'])}`;
    expect(await bench.refusal(remove)).toBe('400 filesystems/filesystem-in-use');
    await bench.clock.advance(61);
    await bench.data('POST /instance-operations/terminate', { instance_ids: [id] });
    await bench.clock.advance(13);
    expect(bench.cloud.books().filter(({ billing }) => billing)).toMatchObject([
      { kind: 'volume', label: 'train' },
    ]);
    await bench.data(remove);
    expect(bench.cloud.books().filter(({ billing }) => billing)).toEqual([]);
  });

  it('one request a second, one launch in twelve: a 429 with nothing in it', async () => {
    await using bench = open({ rateLimits: true });
    expect((await bench.raw('GET /regions')).status).toBe(200);
    expect(await bench.raw('GET /regions')).toMatchObject({ status: 429, text: '' });
    await bench.clock.advance(1);
    expect((await bench.raw(LAUNCH, order())).status).toBe(404);
    await bench.clock.advance(5);
    expect((await bench.raw(LAUNCH, order())).status).toBe(429);
    await bench.clock.advance(7);
    expect((await bench.raw(LAUNCH, order())).status).toBe(404);
  });

  it('a restart while it boots, or while another runs, is a conflict', async () => {
    await using bench = open();
    const id = await bench.launch();
    const restart = 'POST /instance-operations/restart';
    const body = { instance_ids: [id] };
    expect(await bench.refusal(restart, body)).toBe('409 global/conflict');
    await bench.clock.advance(61);
    await bench.data(restart, body);
    expect(await bench.refusal(restart, body)).toBe('409 global/conflict');
    await bench.clock.advance(61);
    await bench.data(restart, body);
  });

  it('what is left out of the firewall is gone (lambda.md 16.8)', async () => {
    await using bench = open();
    expect(await bench.data('GET /firewall-rules')).toHaveLength(2);
    await bench.data('PUT /firewall-rules', { data: [] });
    expect(await bench.data('GET /firewall-rules')).toEqual([]);
  });

  it('a spent account launches nothing', async () => {
    await using bench = open({ creditUsd: 1 });
    await bench.launch();
    await bench.clock.advance(3700);
    expect(await bench.refusal(LAUNCH, order())).toBe('403 global/account-inactive');
  });

  it('the same seed has the same free, another seed others', async () => {
    await using one = open();
    await using other = open();
    expect([...one.cloud.free]).toEqual([...other.cloud.free]);
    expect(one.cloud.free.size).toBeGreaterThan(20);
  });
});
