import { describe, expect, it } from 'vitest';
import { createNoMachines } from '../../../../src/sandbox/no-machines.ts';
import { type Bench, type Loose, openBench, START } from './bench.ts';

const one = (faults: readonly { kind: string; afterSeconds?: number; value?: number | string }[]) =>
  openBench({ faults: faults.map((fault) => ({ ...fault, times: 1 })) });
const put = async (bench: Bench, id: number, body: Loose) =>
  bench.raw(`PUT /api/v0/instances/${id}/`, body);

describe('the life of an instance', () => {
  it('goes null, loading with pull lines, running (vast.md 17.9)', async () => {
    await using bench = openBench();
    const id = await bench.create();
    expect(await bench.show(id)).toMatchObject({
      actual_status: null,
      intended_status: 'running',
      cur_state: 'stopped',
      status_msg: null,
    });
    await bench.advance(30);
    const loading = await bench.show(id);
    expect(loading['actual_status']).toBe('loading');
    expect(loading['status_msg']).toMatch(/^[0-9a-f]{12}: (?:Pull complete|Extracting)$/);
    await bench.advance(31);
    expect(await bench.show(id)).toMatchObject({
      actual_status: 'running',
      cur_state: 'running',
      status_msg: 'success, running pytorch/pytorch/ssh',
    });
  });

  it('takes as long as the image is big and the host is slow', async () => {
    await using bench = openBench({ options: { bootSeconds: undefined } });
    const slow = await bench.cheapest({ inet_down: { lt: 100 }, disk_space: { gte: 100 } });
    const id = await bench.create({ image: 'vllm/vllm-openai', runtype: 'ssh' }, slow);
    await bench.advance(25);
    expect((await bench.show(id))['actual_status']).toBe('loading');
    await bench.advance(4 * 3_600);
    expect((await bench.show(id))['actual_status']).toBe('running');
  });

  it('has ports only while it runs, a public address with a newline and a proxy always (vast.md 17.10, 16.14)', async () => {
    await using bench = openBench();
    const id = await bench.create({ env: { '-p 8080:8080': '1', '-p 9000:9000/udp': '1' } });
    const before = await bench.show(id);
    expect(before).not.toHaveProperty('ports');
    expect(before['public_ipaddr']).toBe('127.0.0.1\n');
    expect(before['ssh_host']).toBe('127.0.0.1');
    expect(before['ssh_port']).toBeGreaterThan(1024);
    await bench.advance(61);
    const running = await bench.show(id);
    const ports = running['ports'] as Record<string, { HostIp: string; HostPort: string }[]>;
    expect(Object.keys(ports).sort()).toEqual(['22/tcp', '8080/tcp', '9000/udp']);
    expect(ports['22/tcp']?.[0]).toEqual({
      HostIp: '0.0.0.0',
      HostPort: expect.stringMatching(/^\d+$/) as unknown,
    });
    await put(bench, id, { state: 'stopped' });
    await bench.advance(10);
    expect(await bench.show(id)).not.toHaveProperty('ports');
  });

  it('a notebook makes the proxy one port less than SSH is (vast.md 9)', async () => {
    await using bench = openBench();
    const id = await bench.create({ runtype: 'jupyter_proxy ssh_proxy' });
    const instance = bench.cloud.instances.get(id);
    expect((await bench.show(id))['ssh_port']).toBe((instance?.proxy?.port ?? 0) - 1);
  });

  it('stops, frees its GPU, bills storage and starts again, with an exited that lingers (vast.md 16.17, 16.18)', async () => {
    await using bench = openBench();
    const id = await bench.create();
    await bench.advance(61);
    const running = bench.booked(id).usdPerHour;
    expect(await bench.json(`PUT /api/v0/instances/${id}/`, { state: 'stopped' })).toEqual({
      success: true,
    });
    await bench.advance(5);
    expect(await bench.show(id)).toMatchObject({
      actual_status: 'exited',
      cur_state: 'stopped',
      intended_status: 'stopped',
      next_state: 'stopped',
    });
    expect(bench.booked(id).billing).toBe(true);
    expect(bench.booked(id).usdPerHour).toBeLessThan(running / 2);
    expect(await bench.json(`PUT /api/v0/instances/${id}/`, { state: 'running' })).toEqual({
      success: true,
    });
    expect(await bench.show(id)).toMatchObject({
      actual_status: 'exited',
      intended_status: 'running',
    });
    await bench.advance(3);
    expect((await bench.show(id))['actual_status']).toBe('loading');
    await bench.advance(10);
    expect((await bench.show(id))['actual_status']).toBe('running');
    expect(bench.booked(id).usdPerHour).toBe(running);
  });

  it('a start without a GPU is 200 success:false, and waits in a queue until it is cancelled (vast.md 17.9, 6.4)', async () => {
    await using bench = openBench();
    const id = await bench.create();
    await bench.advance(61);
    await put(bench, id, { state: 'stopped' });
    await bench.advance(5);
    const offer = bench.booked(id).offerId ?? '';
    bench.book.add({ kind: 'start-unavailable', offerId: offer, times: 2, value: 100 });
    const start = async () => put(bench, id, { state: 'running' });
    expect(await start()).toEqual({
      status: 200,
      body: {
        success: false,
        error: 'resources_unavailable',
        msg: 'Required resources are currently unavailable, state change queued.',
      },
    });
    expect(await bench.show(id)).toMatchObject({
      intended_status: 'running',
      cur_state: 'scheduling',
    });
    await put(bench, id, { state: 'stopped' });
    await bench.advance(500);
    expect(await bench.show(id)).toMatchObject({
      intended_status: 'stopped',
      cur_state: 'stopped',
    });
    await start();
    await bench.advance(120);
    expect((await bench.show(id))['actual_status']).toBe('running');
  });

  it('another renter of the machine takes the GPU of a stopped one, and gives it back (vast.md 16.18)', async () => {
    await using bench = openBench();
    const single = [...bench.cloud.asks.values()].find(
      ({ machine, count }) => machine.gpus === 2 && count === 2 && machine.diskGb > 300,
    );
    const half = [...bench.cloud.asks.values()].find(
      ({ machine, count }) => machine === single?.machine && count === 1,
    );
    const id = await bench.create({ disk: 20 }, single?.id);
    expect(
      await bench.raw(`PUT /api/v0/asks/${half?.id ?? 0}/`, { image: 'a', disk: 8 }),
    ).toMatchObject({ status: 410 });
    await bench.advance(61);
    await put(bench, id, { state: 'stopped' });
    await bench.advance(5);
    const other = await bench.create({ disk: 20, runtype: 'ssh' }, half?.id);
    expect(other).toBeGreaterThan(id);
    expect(await put(bench, id, { state: 'running' })).toMatchObject({
      body: { error: 'resources_unavailable' },
    });
    await bench.json(`DELETE /api/v0/instances/${other}/`);
    await bench.advance(20);
    expect((await bench.show(id))['actual_status']).toBe('running');
  });

  it('reboots with its GPU, and recycles into a fresh container (vast.md 7)', async () => {
    await using bench = openBench();
    const id = await bench.create();
    await bench.json(`PUT /api/v0/instances/reboot/${id}/`, {});
    expect((await bench.show(id))['actual_status']).toBeNull();
    await bench.advance(61);
    const rate = bench.booked(id).usdPerHour;
    expect(await bench.json(`PUT /api/v0/instances/reboot/${id}/`, {})).toEqual({ success: true });
    expect((await bench.show(id))['actual_status']).toBe('rebooting');
    expect(bench.booked(id).usdPerHour).toBe(rate);
    await bench.advance(10);
    expect((await bench.show(id))['actual_status']).toBe('running');
    expect(await bench.json(`PUT /api/v0/instances/recycle/${id}/`, {})).toEqual({ success: true });
    expect((await bench.show(id))['actual_status']).toBe('recycling');
    await bench.advance(30);
    expect((await bench.show(id))['actual_status']).toBe('loading');
    await bench.advance(31);
    expect((await bench.show(id))['actual_status']).toBe('running');
    expect(await bench.raw('PUT /api/v0/instances/reboot/99/', {})).toMatchObject({ status: 404 });
  });

  it('is outbid, pauses, bills its disk, and comes back when the bid is raised (vast.md 17.9, 6.3)', async () => {
    for (const outbidIntent of ['stopped', 'running'] as const) {
      await using bench = openBench({
        options: { outbidIntent },
        faults: [{ kind: 'outbid', afterSeconds: 30, times: 1 }],
      });
      const offer = await bench.cheapest({
        disk_space: { gte: 200 },
        direct_port_count: { gte: 1 },
      });
      const [row] = await bench.search({ ask_contract_id: { eq: offer } });
      const id = await bench.create({ price: row?.['min_bid'] }, offer);
      await bench.advance(62);
      const full = bench.booked(id).usdPerHour;
      await bench.advance(30);
      const paused = await bench.show(id);
      expect(paused).toMatchObject({
        actual_status: 'exited',
        cur_state: 'stopped',
        next_state: 'stopped',
        intended_status: outbidIntent,
      });
      expect(bench.booked(id).usdPerHour).toBeLessThan(full);
      const needed = paused['min_bid'] as number;
      expect(needed).toBeGreaterThan(row?.['min_bid'] as number);
      const bid = async (price: unknown) =>
        bench.raw(`PUT /api/v0/instances/bid_price/${id}/`, { client_id: 'me', price });
      expect(await bid(0)).toMatchObject({
        status: 400,
        body: { error: 'invalid_args', msg: 'Please set a bid price >= 0.001.' },
      });
      expect(await bid(null)).toMatchObject({ status: 400 });
      expect(await bid(needed)).toEqual({ status: 200, body: { success: true } });
      await bench.advance(15);
      expect(await bench.show(id)).toMatchObject({ actual_status: 'running', dph_base: needed });
      await bid(needed / 2);
      expect((await bench.show(id))['actual_status']).toBe('exited');
      expect(await bench.raw('PUT /api/v0/instances/bid_price/99/', { price: 1 })).toMatchObject({
        status: 404,
        body: { error: 'no_such_instance' },
      });
    }
  });

  it('takes labels, and says what is wrong with them (vast.md 7)', async () => {
    await using bench = openBench();
    const id = await bench.create();
    expect(await bench.json(`PUT /api/v0/instances/${id}/`, { label: 'x' })).toEqual({
      success: true,
      msg: `label for ${id} set to 'x'`,
    });
    expect((await bench.show(id))['label']).toBe('x');
    expect(await put(bench, id, { label: 'y'.repeat(1_025) })).toMatchObject({
      status: 400,
      body: { error: 'label_too_long' },
    });
    expect(await put(bench, id, {})).toMatchObject({ status: 400 });
    expect(await put(bench, 99, { label: 'x' })).toMatchObject({
      status: 404,
      body: { error: 'no_such_instance' },
    });
  });

  it('ends with its rental, cannot be started then, and is deleted two days later (vast.md 6.3)', async () => {
    await using bench = one([{ kind: 'rental-ends', afterSeconds: 600 }]);
    const id = await bench.create();
    await bench.advance(601);
    expect(await bench.show(id)).toMatchObject({ actual_status: 'exited', end_date: START + 600 });
    expect(bench.booked(id).billing).toBe(true);
    expect(await put(bench, id, { state: 'running' })).toMatchObject({ status: 400 });
    await bench.advance(48 * 3_600);
    expect(await bench.show(id)).toBeNull();
    expect(bench.booked(id).billing).toBe(false);
  });
});

describe('what can go wrong with a machine', () => {
  it.each([
    ['stuck-null', { actual_status: null, status_msg: null }],
    ['stuck-loading', { actual_status: 'loading' }],
    ['slow-boot', { actual_status: 'loading' }],
    ['exits', { actual_status: 'exited', intended_status: 'running' }],
    [
      'oci-error',
      {
        actual_status: 'created',
        status_msg: expect.stringContaining('OCI runtime create failed') as unknown,
      },
    ],
    [
      'manifest-unknown',
      {
        actual_status: 'loading',
        status_msg: expect.stringContaining('manifest unknown') as unknown,
      },
    ],
    [
      'pull-denied',
      {
        actual_status: 'loading',
        status_msg: expect.stringContaining('pull access denied') as unknown,
      },
    ],
    ['offline', { actual_status: 'offline' }],
    ['unknown', { actual_status: 'unknown' }],
  ])('%s at boot never runs and never bills a GPU (vast.md 17.9, 6.3)', async (kind, expected) => {
    await using bench = one([{ kind }]);
    const id = await bench.create();
    await bench.advance(600);
    expect(await bench.show(id)).toMatchObject(expected);
    expect(await bench.show(id)).not.toHaveProperty('ports');
    const gpu = (await bench.show(id))['dph_base'] as number;
    expect(bench.booked(id).usdPerHour).toBeLessThan(gpu);
  });

  it.each([
    ['exits', 'exited'],
    ['offline', 'offline'],
    ['unknown', 'unknown'],
    ['frozen', 'frozen'],
    ['outbid', 'running'],
  ])('%s may strike later (only who bids is outbid)', async (kind, status) => {
    await using bench = one([{ kind, afterSeconds: 100 }]);
    const id = await bench.create();
    await bench.advance(150);
    expect((await bench.show(id))['actual_status']).toBe('running');
    await bench.advance(20);
    expect((await bench.show(id))['actual_status']).toBe(status);
  });

  it.each(['stuck-loading', 'manifest-unknown', 'oci-error', 'exits'])(
    '%s is not cured by a stop and a start',
    async (kind) => {
      await using bench = one([{ kind }]);
      const id = await bench.create();
      await bench.advance(100);
      await put(bench, id, { state: 'stopped' });
      await bench.advance(10);
      expect((await bench.show(id))['actual_status']).toBe('stopped');
      await put(bench, id, { state: 'running' });
      await bench.advance(600);
      expect((await bench.show(id))['actual_status']).not.toBe('running');
    },
  );

  it('a slow boot ends', async () => {
    await using bench = one([{ kind: 'slow-boot', value: 300 }]);
    const id = await bench.create();
    await bench.advance(355);
    expect((await bench.show(id))['actual_status']).toBe('loading');
    await bench.advance(10);
    expect((await bench.show(id))['actual_status']).toBe('running');
  });

  it('an image may not exist or need a login, by its name alone (vast.md 6.3)', async () => {
    await using bench = openBench();
    const missing = await bench.create({ image: 'me/does-not-exist:1' });
    const denied = await bench.create({ image: 'private/model:1' });
    const allowed = await bench.create({
      image: 'private/model:1',
      image_login: '-u u -p p registry.example.com',
    });
    await bench.advance(90);
    expect((await bench.show(missing))['status_msg']).toContain('manifest unknown');
    expect((await bench.show(denied))['status_msg']).toContain('pull access denied');
    expect((await bench.show(allowed))['actual_status']).toBe('running');
  });

  it('whose machine cannot be made is told as broken, and bills no GPU', async () => {
    const machines = {
      ...createNoMachines(),
      start: async () => Promise.reject(new Error('no space')),
    };
    await using bench = openBench({ machines });
    const id = await bench.create();
    await bench.advance(100);
    expect(await bench.show(id)).toMatchObject({
      actual_status: 'created',
      status_msg: expect.stringContaining('cannot run') as unknown,
    });
    expect(bench.booked(id).usdPerHour).toBeLessThan((await bench.show(id))['dph_base'] as number);
    await bench.json(`DELETE /api/v0/instances/${id}/`);
    expect(bench.meter.billing()).toEqual([]);
  });

  it('vanishes without being asked', async () => {
    await using bench = one([{ kind: 'vanishes', afterSeconds: 90 }]);
    const id = await bench.create();
    await bench.advance(89);
    expect(await bench.show(id)).not.toBeNull();
    await bench.advance(2);
    expect(await bench.show(id)).toBeNull();
    expect(bench.booked(id)).toMatchObject({ state: 'destroyed', billing: false });
  });

  it.each([
    ['mapping-missing', undefined],
    ['mapping-late', undefined],
  ])('%s hides port 22 alone', async (kind, expected) => {
    await using bench = one([{ kind }]);
    const id = await bench.create({ env: { '-p 8080:8080': '1' } });
    await bench.advance(61);
    const ports = (await bench.show(id))['ports'] as Loose;
    expect(ports['22/tcp']).toBe(expected);
    expect(ports['8080/tcp']).toBeDefined();
    await bench.advance(31);
    const later = ((await bench.show(id))['ports'] as Loose)['22/tcp'];
    expect(later !== undefined).toBe(kind === 'mapping-late');
  });

  it('a private address is told as the public one', async () => {
    await using bench = one([{ kind: 'mapping-private' }]);
    const id = await bench.create();
    await bench.advance(61);
    expect((await bench.show(id))['public_ipaddr']).toBe('192.168.1.7\n');
  });
});

describe('destroy', () => {
  const destroy = async (bench: Bench, id: number) =>
    bench.raw(`DELETE /api/v0/instances/${id}/`, {});

  it('ends everything at once; the second one is 404 (vast.md 17.14, 7)', async () => {
    await using bench = openBench();
    const id = await bench.create();
    await bench.advance(100);
    expect(await destroy(bench, id)).toEqual({ status: 200, body: { success: true } });
    expect(await bench.show(id)).toBeNull();
    expect(bench.meter.billing()).toEqual([]);
    expect(await destroy(bench, id)).toMatchObject({
      status: 404,
      body: { error: 'not_found', msg: 'Instance not found' },
    });
    await using other = openBench({ options: { destroyUnknownError: 'no_such_instance' } });
    expect(await destroy(other, 99)).toMatchObject({
      status: 404,
      body: { error: 'no_such_instance' },
    });
    expect(await bench.raw('DELETE /api/v0/instances/abc/', {})).toMatchObject({
      status: 400,
      body: { msg: 'invalid instance_id' },
    });
  });

  it('in any state leaves nothing that bills (vast.md 17.17)', async () => {
    for (const seconds of [0, 1, 10, 59, 61, 100]) {
      await using bench = openBench();
      const id = await bench.create();
      await bench.advance(seconds);
      await destroy(bench, id);
      await bench.advance(3_600);
      expect(bench.meter.billing()).toEqual([]);
      expect(await bench.show(id)).toBeNull();
    }
  });

  it('may say success and linger, or do nothing at all', async () => {
    await using bench = openBench();
    const id = await bench.create();
    const offerId = bench.booked(id).offerId ?? '';
    bench.book.add({ kind: 'destroy-ignored', offerId, times: 1 });
    bench.book.add({ kind: 'destroy-lingers', offerId, times: 1, value: 40 });
    expect(await destroy(bench, id)).toMatchObject({ body: { success: true } });
    await bench.advance(100);
    expect(await bench.show(id)).not.toBeNull();
    expect(await destroy(bench, id)).toMatchObject({ body: { success: true } });
    await bench.advance(30);
    expect(bench.booked(id).billing).toBe(true);
    await bench.advance(11);
    expect(await bench.show(id)).toBeNull();
    expect(bench.meter.billing()).toEqual([]);
  });

  it('may fail a few times, or say 404 of what lives', async () => {
    await using bench = openBench({
      faults: [
        { kind: 'destroy-fails', times: 2 },
        { kind: 'destroy-404', times: 2 },
      ],
    });
    const id = await bench.create();
    expect((await destroy(bench, id)).status).toBe(500);
    expect((await destroy(bench, id)).status).toBe(500);
    for (let index = 0; index < 2; index += 1) {
      expect((await destroy(bench, id)).status).toBe(404);
      expect(bench.booked(id).billing).toBe(true);
    }
    expect((await destroy(bench, id)).status).toBe(200);
    expect(bench.meter.billing()).toEqual([]);
  });

  it('a living instance may be told as null once, and be left out of a list', async () => {
    await using bench = openBench({
      faults: [
        { kind: 'null-once', times: 1 },
        { kind: 'reads-nothing', times: 1 },
      ],
    });
    const id = await bench.create();
    expect(await bench.show(id)).toBeNull();
    expect(await bench.show(id)).not.toBeNull();
    expect(await bench.json('GET /api/v1/instances/')).toMatchObject({ total_instances: 0 });
    expect(await bench.json('GET /api/v1/instances/')).toMatchObject({ total_instances: 1 });
  });

  it('a new instance may be missing from lists for a while', async () => {
    await using bench = openBench({ faults: [{ kind: 'list-lag', times: 1, value: 30 }] });
    const id = await bench.create();
    const total = async () => (await bench.json('GET /api/v1/instances/'))['total_instances'];
    expect(await total()).toBe(0);
    expect(await bench.show(id)).not.toBeNull();
    await bench.advance(31);
    expect(await total()).toBe(1);
  });

  it('what is free again is listed under a new number (vast.md 3.5)', async () => {
    await using bench = openBench();
    const offer = await bench.cheapest();
    const [row] = await bench.search({ ask_contract_id: { eq: offer } });
    const id = await bench.create({ disk: 8 }, offer);
    await destroy(bench, id);
    expect(await bench.search({ ask_contract_id: { eq: offer } })).toEqual([]);
    const same = { machine_id: { eq: row?.['machine_id'] }, num_gpus: { eq: row?.['num_gpus'] } };
    const [again] = await bench.search(same);
    expect(again?.['dph_base']).toBe(row?.['dph_base']);
  });
});
