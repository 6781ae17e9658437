import { describe, expect, it } from 'vitest';
import { leaseSchema } from '../../../src/core/lease.ts';
import { isSameAccount } from '../../../src/leases/account-book.ts';
import {
  anOffer,
  createFakeProvider,
  type FakeProvider,
  type FakeProviderOptions,
} from '../../support/fake-provider.ts';
import { createLeaseBench, type LeaseBench } from '../../support/lease-bench.ts';

const MINE = 'console.vast.ai/1';
const OTHER = '127.0.0.1:8080/1';
const once = { waitSeconds: 0 };
const end = { discardUnfetched: false, waitSeconds: 25 };
const giveUp = { ...end, discardUnfetched: true, reason: 'the account was closed' };

async function rent(changes: Parameters<typeof createLeaseBench>[0] = {}) {
  const bench = createLeaseBench({ ...changes, cloud: { account: MINE, ...changes.cloud } });
  const created = await bench.create();
  if (created.status !== 'ready') throw new Error(created.status);
  return { bench, podId: created.pod.podId };
}
/** The same state folder, on a server that is pointed at another cloud. */
function movedTo(
  { store, clock }: LeaseBench,
  cloud: Omit<FakeProviderOptions, 'clock'>,
): LeaseBench & { readonly provider: FakeProvider } {
  const provider = createFakeProvider({ clock, ...cloud });
  return { ...createLeaseBench({ store, clock, provider }), provider };
}
const leaseOf = async ({ store }: LeaseBench) => (await store.leases.list())[0];

describe('a lease that was made with another account', () => {
  it('is never called gone by looking at this one, and is looked after again when the server is set back', async () => {
    const { bench, podId } = await rent();
    expect((await leaseOf(bench))?.account).toBe(MINE);
    bench.clock.advance(120);
    const moved = movedTo(bench, { account: OTHER });
    const { pod } = await moved.pods.get(podId, once, moved.options);
    expect(pod.status).toBe('unknown');
    expect(pod.problem).toContain(`made with the account ${MINE}`);
    expect(pod.problem).toContain(`pointed at ${OTHER}`);
    expect(pod.problem).toContain('set VAST_API_KEY');
    await moved.pods.reconcile(moved.options);
    await moved.pods.tend(moved.options);
    const { pods } = await moved.pods.list({ includeEnded: false }, moved.options);
    expect(pods.map(({ status }) => status)).toEqual(['unknown']);
    expect(await moved.pods.destroy(podId, end, moved.options)).toMatchObject({
      outcome: 'unknown',
    });
    expect((await leaseOf(bench))?.state).toBe('open');
    expect((await bench.pods.get(podId, once, bench.options)).pod.status).toBe('ready');
    expect(await bench.pods.destroy(podId, end, bench.options)).toMatchObject({ outcome: 'gone' });
    expect(bench.cloud.alive()).toEqual([]);
  });

  it("ends nobody else's machine of the same number, by hand or at its deadline", async () => {
    for (const onExpiry of ['destroy', 'stop'] as const) {
      const bench = createLeaseBench({ cloud: { account: MINE, canStop: true } });
      const created = await bench.create({ onExpiry, ttlMinutes: 60 });
      if (created.status !== 'ready') throw new Error(created.status);
      const { podId } = created.pod;
      const moved = movedTo(bench, { account: OTHER, canStop: true });
      expect(moved.provider.foreign('somebody')).toBe(podId);
      await moved.pods.destroy(podId, end, moved.options);
      for (const action of ['stop', 'restart'] as const)
        await expect(moved.pods.update(podId, { action }, moved.options)).rejects.toMatchObject({
          code: 'config_missing',
        });
      bench.clock.advance(3_601);
      const said = await moved.pods.enforce(moved.options);
      expect(said.join()).toContain(`made with the account ${MINE}`);
      const { pods } = await moved.pods.list({ includeEnded: true }, moved.options);
      expect(pods.find(({ mode }) => mode === 'managed')?.status).toBe('unknown');
      expect(moved.provider.alive().map(({ status }) => status)).toEqual(['running']);
      expect(moved.provider.calls).not.toContain('terminatePod');
      expect(moved.provider.calls).not.toContain('stopPod');
    }
  });

  it('that was closed is not opened again by a stranger of the same number', async () => {
    const { bench, podId } = await rent();
    await bench.pods.destroy(podId, end, bench.options);
    const moved = movedTo(bench, { account: OTHER });
    moved.provider.foreign('somebody');
    await moved.pods.list({ includeEnded: false }, moved.options);
    await moved.pods.destroy(podId, end, moved.options);
    moved.clock.advance(120);
    await moved.pods.reconcile(moved.options);
    expect((await leaseOf(bench))?.state).toBe('closed');
    expect(moved.provider.alive()).toHaveLength(1);
  });

  it('and whose creation was lost is not given up for want of its label here', async () => {
    const bench = createLeaseBench({ cloud: { account: MINE } });
    bench.cloud.faults.loseAnswers = 1;
    bench.cloud.faults.listFails = 99;
    await expect(bench.create()).rejects.toMatchObject({ code: 'outcome_unknown' });
    const moved = movedTo(bench, { account: OTHER });
    for (let round = 0; round < 4; round += 1) {
      bench.clock.advance(600);
      await moved.pods.reconcile(moved.options);
    }
    expect((await leaseOf(bench))?.state).toBe('open');
  });

  it('is not replaced with the money of this one', async () => {
    const offers = ['a', 'b'].map((id) => anOffer({ id }));
    const bench = createLeaseBench({ cloud: { account: MINE, offers } });
    bench.cloud.faults.bootFails = 1;
    await bench.create({ offerIds: offers.map(({ offerId }) => offerId) });
    // Its server died after it had ended the failed pod.
    const failed = await leaseOf(bench);
    const [, next] = await bench.store.leases.list();
    if (failed === undefined || next === undefined) throw new Error('Nothing was replaced.');
    const orphan = Object.entries(failed).filter(([key]) => key !== 'replacedBy');
    const again = leaseSchema.parse({ ...Object.fromEntries(orphan), mayReplace: true });
    await bench.store.leases.put(failed.leaseId, again);
    await bench.store.leases.delete(next.leaseId);
    const moved = movedTo(bench, { account: OTHER, offers });
    for (let round = 0; round < 5; round += 1) {
      bench.clock.advance(30);
      await moved.pods.tend(moved.options);
    }
    expect(moved.provider.calls).not.toContain('createPod');
    expect((await bench.store.leases.get(failed.leaseId))?.mayReplace).toBeUndefined();
  });

  it('is unknown too while this cloud does not tell which account it is', async () => {
    const { bench, podId } = await rent();
    bench.clock.advance(120);
    for (const cloud of [
      {},
      {
        account: MINE,
        before: (call: string) => {
          if (call === 'checkAccount') throw new Error('down');
        },
      },
    ]) {
      const moved = movedTo(bench, cloud);
      expect((await moved.pods.get(podId, once, moved.options)).pod.status).toBe('unknown');
    }
    expect((await leaseOf(bench))?.state).toBe('open');
  });

  it('is given up only by somebody who says why, and its receipt says that nothing is proven', async () => {
    const { bench, podId } = await rent();
    const moved = movedTo(bench, { account: OTHER });
    moved.world.answer = 'declined';
    await expect(moved.pods.destroy(podId, giveUp, moved.options)).rejects.toMatchObject({
      code: 'not_owned',
    });
    expect((await leaseOf(bench))?.state).toBe('open');
    moved.world.answer = 'accepted';
    expect(await moved.pods.destroy(podId, giveUp, moved.options)).toMatchObject({
      outcome: 'unknown',
    });
    expect(moved.asked.at(-1)).toContain('without proof');
    expect((await moved.pods.receipt(podId))?.proof.how).toContain('NOT proven');
    const listed = await moved.pods.list({ includeEnded: false }, moved.options);
    expect(listed).toMatchObject({ pods: [], usdPerHour: 0 });
    // Back on the right account it is seen, and ours again.
    await bench.pods.list({ includeEnded: false }, bench.options);
    expect((await leaseOf(bench))?.state).toBe('closing');
    await bench.pods.reconcile(bench.options);
    expect(bench.cloud.alive()).toEqual([]);
  });

  it('without a name of its account is as it always was; so is another key of the same one', async () => {
    const bench = createLeaseBench();
    const created = await bench.create();
    if (created.status !== 'ready') throw new Error(created.status);
    bench.clock.advance(120);
    const moved = movedTo(bench, { account: OTHER });
    expect((await moved.pods.get(created.pod.podId, once, moved.options)).pod.status).toBe('gone');
    const { bench: mine, podId } = await rent();
    mine.clock.advance(120);
    const again = movedTo(mine, { account: MINE });
    expect((await again.pods.get(podId, once, again.options)).pod.status).toBe('gone');
  });
});

it('an account without its number is any account of that cloud', () => {
  expect(isSameAccount('console.vast.ai', 'console.vast.ai/12')).toBe(true);
  expect(isSameAccount('console.vast.ai/12', 'console.vast.ai')).toBe(true);
  expect(isSameAccount('console.vast.ai/1', 'console.vast.ai/12')).toBe(false);
});
