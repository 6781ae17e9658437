import { describe, expect, it } from 'vitest';
import { fc } from '../../../support/property.ts';
import { type Bench, type Loose, openBench, START } from './bench.ts';

const rates = async (bench: Bench, id: number) => {
  const row = await bench.show(id);
  return {
    gpu: row['dph_base'] as number,
    disk: row['storage_total_cost'] as number,
    total: row['dph_total'] as number,
  };
};
/** A machine whose storage costs no more when it is stopped. */
const plain = (bench: Bench, bid = false) =>
  [...bench.cloud.asks.values()].find(
    ({ machine, count }) =>
      machine.stoppedStorageFactor === 1 &&
      machine.diskGb > 300 &&
      machine.gpus === count &&
      (!bid || count === 1),
  )?.id;

describe('billing by state (vast.md 17.17, 15)', () => {
  it('charges storage from the start, the GPU while it runs, storage while stopped, nothing when gone', async () => {
    await using bench = openBench();
    const id = await bench.create({}, plain(bench));
    const { gpu, disk, total } = await rates(bench, id);
    expect(total).toBeCloseTo(gpu + disk, 12);
    expect(bench.booked(id).usdPerHour).toBeCloseTo(disk, 9);
    await bench.advance(60);
    expect(bench.booked(id).spentUsd).toBeCloseTo((disk * 60) / 3_600, 9);
    await bench.advance(3_600);
    expect(bench.booked(id).spentUsd).toBeCloseTo((disk * 3_660) / 3_600 + gpu, 9);
    await bench.json(`PUT /api/v0/instances/${id}/`, { state: 'stopped' });
    // The GPU is charged until the container has stopped.
    await bench.advance(3_600);
    const spent = (disk * 7_260) / 3_600 + gpu + (gpu * 3) / 3_600;
    expect(bench.booked(id).spentUsd).toBeCloseTo(spent, 9);
    await bench.json(`DELETE /api/v0/instances/${id}/`);
    await bench.advance(100_000);
    expect(bench.booked(id).spentUsd).toBeCloseTo(spent, 9);
    expect(bench.booked(id)).toMatchObject({ billing: false, usdPerHour: 0, billedSeconds: 7_260 });
    expect(bench.cloud.creditUsd()).toBeCloseTo(100 - spent, 9);
    expect((await bench.json('GET /api/v0/users/current'))['credit']).toBeCloseTo(100 - spent, 5);
  });

  it('storage of a stopped one may cost more', async () => {
    await using bench = openBench();
    const ask = [...bench.cloud.asks.values()].find(
      ({ machine }) => machine.stoppedStorageFactor > 1 && machine.diskGb > 300,
    );
    const id = await bench.create({ runtype: 'ssh' }, ask?.id);
    const { disk } = await rates(bench, id);
    await bench.advance(61);
    await bench.json(`PUT /api/v0/instances/${id}/`, { state: 'stopped' });
    await bench.advance(5);
    expect(bench.booked(id).usdPerHour).toBeCloseTo(
      disk * (ask?.machine.stoppedStorageFactor ?? 0),
      9,
    );
    expect(await bench.show(id)).toMatchObject({ instance: { gpuCostPerHour: 0 } });
  });

  it.each([
    ['offline', 0, 0],
    ['frozen', 1, 1],
    ['exits', 0, 1],
    ['unknown', 1, 1],
  ])('%s charges the GPU x %d and storage x %d', async (kind, gpuTimes, diskTimes) => {
    await using bench = openBench({ faults: [{ kind, afterSeconds: 60, times: 1 }] });
    const id = await bench.create({}, plain(bench));
    const { gpu, disk } = await rates(bench, id);
    await bench.advance(200);
    expect(bench.booked(id).usdPerHour).toBeCloseTo(gpu * gpuTimes + disk * diskTimes, 9);
  });

  it('an empty account stops everything, and storage goes on below nothing', async () => {
    await using bench = openBench({ creditUsd: 1 });
    const id = await bench.create({}, plain(bench));
    const { gpu, disk, total } = await rates(bench, id);
    await bench.advance(60 + ((1 - (disk * 60) / 3_600) / total) * 3_600 - 5);
    expect((await bench.show(id))['actual_status']).toBe('running');
    await bench.advance(10);
    expect(await bench.show(id)).toMatchObject({
      actual_status: 'exited',
      intended_status: 'stopped',
    });
    expect(bench.booked(id).usdPerHour).toBeCloseTo(disk, 9);
    expect(bench.cloud.creditUsd()).toBeGreaterThan(-gpu / 60);
    await bench.advance(7_200);
    expect(bench.cloud.creditUsd()).toBeLessThan(0);
    expect(await bench.json('GET /api/v0/users/current')).toMatchObject({ credit: 0 });
    expect(await bench.raw(`PUT /api/v0/instances/${id}/`, { state: 'running' })).toMatchObject({
      status: 400,
      body: { error: 'insufficient_credit' },
    });
    expect(
      await bench.raw(`PUT /api/v0/asks/${await bench.cheapest()}/`, { image: 'a', disk: 8 }),
    ).toMatchObject({ status: 400, body: { error: 'insufficient_credit' } });
    bench.cloud.addCredit(10);
    expect(await bench.json(`PUT /api/v0/instances/${id}/`, { state: 'running' })).toEqual({
      success: true,
    });
    await bench.advance(10);
    expect((await bench.show(id))['actual_status']).toBe('running');
  });

  it('whatever is done in whatever order, what is destroyed costs nothing more, and the books add up', async () => {
    const actions = fc.array(
      fc.record({
        act: fc.constantFrom('stop', 'start', 'reboot', 'recycle', 'bid', 'wait'),
        seconds: fc.integer({ min: 0, max: 400 }),
      }),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(actions, fc.boolean(), async (steps, isBid) => {
        await using bench = openBench({ creditUsd: 10_000 });
        const id = await bench.create(isBid ? { price: 20 } : {}, plain(bench, isBid));
        let most = 0;
        for (const { act, seconds } of steps) {
          if (act === 'stop' || act === 'start')
            await bench.json(`PUT /api/v0/instances/${id}/`, {
              state: act === 'stop' ? 'stopped' : 'running',
            });
          else if (act === 'bid')
            await bench.json(`PUT /api/v0/instances/bid_price/${id}/`, {
              price: 0.001 + (seconds % 20),
            });
          else if (act !== 'wait') await bench.json(`PUT /api/v0/instances/${act}/${id}/`, {});
          const row = await bench.show(id);
          const rate = bench.booked(id).usdPerHour;
          const isBilled = ['running', 'rebooting'].includes(String(row['actual_status']));
          expect(rate).toBeCloseTo(
            (isBilled ? (row['dph_base'] as number) : 0) + (row['storage_total_cost'] as number),
            6,
          );
          most += Math.max(20, rate) * seconds;
          await bench.advance(seconds);
        }
        await bench.json(`DELETE /api/v0/instances/${id}/`);
        const { spentUsd } = bench.booked(id);
        expect(spentUsd).toBeLessThanOrEqual((most * 2) / 3_600 + 1e-9);
        await bench.advance(10_000);
        expect(bench.booked(id).spentUsd).toBe(spentUsd);
        expect(bench.meter.billing()).toEqual([]);
        expect(bench.cloud.creditUsd()).toBeCloseTo(10_000 - spentUsd, 6);
      }),
      { numRuns: 60 },
    );
  });
});

describe('charges (vast.md 13)', () => {
  it('tell the GPU and the disk of each contract within the days asked for', async () => {
    await using bench = openBench();
    const id = await bench.create({}, plain(bench));
    const { gpu, disk } = await rates(bench, id);
    await bench.advance(60 + 7_200);
    const query = async (from: number, to: number, more = '') =>
      bench.json(
        `GET /api/v0/charges/?select_filters=${encodeURIComponent(JSON.stringify({ day: { gte: from, lte: to }, type: { in: ['instance'] } }))}${more}`,
      );
    const told = await query(START - 1, START + 86_400);
    expect(told).toMatchObject({ success: true, count: 1, total: 1, next_token: null });
    const [charge] = told['results'] as Loose[];
    expect(charge).toMatchObject({
      type: 'instance',
      source: `instance-${id}`,
      metadata: { label: 'job-1' },
    });
    const items = charge?.['items'] as Loose[];
    expect(items.map(({ type }) => type)).toEqual(['gpu', 'disk']);
    expect(items[0]?.['amount']).toBeCloseTo(gpu * 2, 5);
    expect(items[1]?.['amount']).toBeCloseTo((disk * 7_260) / 3_600, 5);
    expect(charge?.['amount']).toBeCloseTo(bench.booked(id).spentUsd, 3);
    expect(await query(START - 900, START - 800)).toMatchObject({ count: 0, results: [] });
    await bench.create({ disk: 8, runtype: 'ssh' });
    await bench.advance(100);
    const first = await query(START - 1, START + 86_400, '&limit=1');
    expect(first).toMatchObject({ count: 1, total: 2 });
    expect(
      await query(START - 1, START + 86_400, `&limit=1&after_token=${String(first['next_token'])}`),
    ).toMatchObject({ count: 1, next_token: null, results: [{ source: `instance-${id}` }] });
    expect(await bench.raw('GET /api/v0/charges/')).toMatchObject({ status: 400 });
    expect(
      await bench.raw(
        `GET /api/v0/charges/?select_filters={"day":{"gte":1,"lte":2}}&after_token=x`,
      ),
    ).toMatchObject({ status: 400, body: { error: 'invalid_token' } });
  });
});
