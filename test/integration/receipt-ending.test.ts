import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PodId } from '../../src/core/ids.ts';
import { canonicalJson, receiptName, type SealedReceipt, sealOf } from '../../src/core/receipt.ts';
import { createVerifier } from '../../src/files/verify.ts';
import { ManualClock } from '../support/clock.ts';
import { createFakeProvider } from '../support/fake-provider.ts';
import { type BenchOptions, createLeaseBench, type LeaseBench } from '../support/lease-bench.ts';
import { openShelf } from '../support/receipt-shelf.ts';

const bench = (options: BenchOptions = {}): LeaseBench =>
  createLeaseBench({ limits: { autoApproveUsd: 100 }, ...options });
const rented = async (on: LeaseBench, terms: Parameters<LeaseBench['create']>[0] = {}) => {
  const outcome = await on.create(terms);
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  return outcome.pod.podId;
};
const receiptOf = async (on: LeaseBench, podId: PodId): Promise<SealedReceipt> => {
  const found = (await on.store.chain.list()).findLast(({ lease }) => lease.podId === podId);
  if (found === undefined) throw new Error('There is no receipt.');
  return found;
};
const watcher = { care: { actor: () => 'the watcher' } };

describe('a receipt says who ended the pod', () => {
  it.each([
    [undefined, 'agent'],
    ['person' as const, 'person'],
  ])('asked by %s', async (by, told) => {
    const on = bench();
    const podId = await rented(on);
    await on.pods.destroy(
      podId,
      { discardUnfetched: false, waitSeconds: 25, ...(by === undefined ? {} : { by }) },
      on.options,
    );
    const { ending, proof } = await receiptOf(on, podId);
    expect(ending).toEqual({ by: told, why: 'destroy was called' });
    expect(proof.verb).toBe('terminate');
  });

  it.each([
    ['the deadline', { ttlMinutes: 60 }, 3580, 'its deadline is near'],
    [
      'the budget',
      { budgetUsd: 0.25, ttlMinutes: 600 },
      1780,
      'its deadline is near (set by its budget of $0.25)',
    ],
  ])('%s, acted on by the watcher', async (_name, terms, afterSeconds, why) => {
    const on = bench(watcher);
    const podId = await rented(on, terms);
    on.clock.advance(afterSeconds);
    await on.pods.enforce(on.options);
    expect((await receiptOf(on, podId)).ending).toEqual({ by: 'watcher', why });
  });

  it('the first one that ordered it, though another process sees it gone', async () => {
    const on = bench(watcher);
    const podId = await rented(on);
    on.cloud.faults.terminateFails = 1_000;
    const destroy = { discardUnfetched: false, waitSeconds: 1 };
    expect((await on.pods.destroy(podId, destroy, on.options)).outcome).toBe('present');
    on.cloud.faults.terminateFails = 0;
    await on.pods.reconcile(on.options);
    expect((await receiptOf(on, podId)).ending?.by).toBe('agent');
  });

  it('nobody here, when it went by itself or was ended in a console', async () => {
    for (const [seconds, by] of [
      [600, 'outside'],
      [7200, 'pod'],
    ] as const) {
      const on = bench();
      const podId = await rented(on, { ttlMinutes: 60 });
      on.cloud.vanish(podId);
      on.clock.advance(seconds);
      await on.pods.get(podId, { waitSeconds: 0 }, on.options);
      on.clock.advance(600);
      await on.pods.get(podId, { waitSeconds: 0 }, on.options);
      const { ending, proof } = await receiptOf(on, podId);
      expect(ending?.by).toBe(by);
      expect(proof.verb).toBe('none');
    }
  });
});

describe('a receipt', () => {
  it('of a made-up cloud is one of a rehearsal', async () => {
    const clock = new ManualClock();
    for (const isMadeUp of [true, false]) {
      const on = bench({ clock, provider: { ...createFakeProvider({ clock }), isMadeUp } });
      const podId = await rented(on);
      await on.pods.destroy(podId, { discardUnfetched: false, waitSeconds: 25 }, on.options);
      expect((await receiptOf(on, podId)).lease.rehearsal).toBe(isMadeUp);
    }
  });

  it('has whole micro-dollars for machines and four places for people', async () => {
    await using shelf = await openShelf();
    const podId = await shelf.end();
    const { cost } = await receiptOf(shelf.bench, podId);
    expect(Math.round(cost.estimatedUsd * 1e6) / 1e6).toBe(cost.estimatedUsd);
    expect(cost.estimatedUsd).toBeGreaterThan(0.5);
    const [name = ''] = (await readdir(shelf.receipts)).filter((each) => each.endsWith('.md'));
    const text = await readFile(path.join(shelf.receipts, name), 'utf8');
    expect(text).toContain('| Price | $0.5000 per hour |');
    expect(text).toContain(`about $${cost.estimatedUsd.toFixed(4)} |`);
    expect(text).toContain('| Ended by | agent: `destroy was called` |');
    for (const [, digits = ''] of text.matchAll(/\$\d+\.(\d+)/g)) expect(digits).toHaveLength(4);
  });

  it('whose text another version wrote gets none here, rather than one that it does not vouch for', async () => {
    await using shelf = await openShelf();
    const podId = await shelf.end();
    const now = await receiptOf(shelf.bench, podId);
    const other = { ...now, markdownSha256: 'a'.repeat(64) };
    const old = { ...other, sha256: sealOf(other) };
    await rm(shelf.receipts, { recursive: true });
    await using again = await openShelf();
    await again.bench.store.chain.put(`000000001:${old.sha256}:${old.chain}`, old);
    await again.bench.pods.reconcile(again.bench.options);
    expect(await readdir(again.receipts)).toEqual([`${receiptName(old)}.json`]);
    const { signal } = again.bench.options;
    const request = { target: again.receipts, chainOnly: true };
    const { ok, notChecked } = await createVerifier().verify(request, { signal });
    expect(ok, canonicalJson(old)).toBe(true);
    expect(notChecked.join()).toContain('without their text for people: 1');
  });
});
