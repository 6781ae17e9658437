import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { VAST_FAULTS } from '../../../../src/sandbox/vast/fault-kinds.ts';
import { fc } from '../../../support/property.ts';
import { openBench } from './bench.ts';

describe('the table of faults', () => {
  it('says in a sentence what each one does, and some test proves each', () => {
    const folder = import.meta.dirname;
    const tests = [
      ...readdirSync(folder)
        .filter((name) => name.endsWith('.test.ts') && name !== 'faults.test.ts')
        .map((name) => path.join(folder, name)),
      path.join(folder, '../../../integration/sandbox-vast.test.ts'),
    ].map((file) => readFileSync(file, 'utf8'));
    for (const { kind, summary } of VAST_FAULTS) {
      expect(summary, kind).toMatch(/^[A-Z].*\.$/);
      expect(
        tests.some((text) => text.includes(`'${kind}'`)),
        kind,
      ).toBe(true);
    }
    expect(new Set(VAST_FAULTS.map(({ kind }) => kind)).size).toBe(VAST_FAULTS.length);
  });

  it('whatever strikes by chance, destroy works in the end, and then nothing is billed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), async (seed) => {
        await using bench = openBench({ seed });
        bench.book.setChaos(0.25);
        const offers = [...bench.cloud.asks.values()].filter(({ machine }) => machine.diskGb > 100);
        for (const { id } of offers.slice(0, 12)) {
          await bench.raw(`PUT /api/v0/asks/${id}/`, { image: 'a', disk: 8, label: `job-${id}` });
          await bench.advance(20);
        }
        for (const { id } of bench.cloud.books()) {
          const state = () => bench.cloud.books().find((one) => one.id === id)?.state;
          for (let tries = 0; tries < 300 && state() !== 'destroyed'; tries += 1) {
            await bench.raw(`DELETE /api/v0/instances/${id}/`, {});
            await bench.advance(5);
          }
        }
        await bench.advance(10_000);
        expect(bench.meter.billing()).toEqual([]);
        expect(bench.cloud.books().every(({ state }) => state === 'destroyed')).toBe(true);
      }),
      { numRuns: 5 },
    );
  });

  it('an offer is rented once, however many ask at the same time', async () => {
    await using bench = openBench();
    const offer = await bench.cheapest();
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () =>
        bench.raw(`PUT /api/v0/asks/${offer}/`, { image: 'a', disk: 8 }),
      ),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(bench.cloud.books()).toHaveLength(1);
  });

  it('a machine never rents more GPUs than it has', async () => {
    await using bench = openBench();
    const ids = [...bench.cloud.asks.keys()];
    await Promise.all(
      ids.map(async (id) =>
        bench.raw(`PUT /api/v0/asks/${id}/`, { image: 'a', disk: 8, cancel_unavail: true }),
      ),
    );
    const held = new Map<string, number>();
    for (const { ask, holdsGpu } of bench.cloud.instances.values())
      if (holdsGpu)
        held.set(
          String(ask.machine.machineId),
          (held.get(String(ask.machine.machineId)) ?? 0) + ask.count,
        );
    for (const { machine } of bench.cloud.asks.values())
      expect(held.get(String(machine.machineId)) ?? 0).toBeLessThanOrEqual(machine.gpus);
    expect(held.size).toBeGreaterThan(50);
  });

  it('an instance that is destroyed while it is being made leaves nothing', async () => {
    await using bench = openBench();
    const offer = await bench.cheapest();
    const made = bench.raw(`PUT /api/v0/asks/${offer}/`, { image: 'a', disk: 8 });
    const [id] = bench.cloud.instances.keys();
    expect((await bench.raw(`DELETE /api/v0/instances/${id ?? 0}/`)).status).toBe(200);
    await made;
    await bench.advance(1_000);
    expect(bench.meter.billing()).toEqual([]);
    expect(bench.cloud.instances.get(id ?? 0)?.mapped.size).toBe(0);
    expect(bench.cloud.instances.get(id ?? 0)?.holdsGpu).toBe(false);
  });
});
