import { describe, expect, it } from 'vitest';
import type { CreateOutcome } from '../../../src/core/pods.ts';
import { ManualClock } from '../../support/clock.ts';
import { anOffer } from '../../support/fake-provider.ts';
import { createLeaseBench, someTerms } from '../../support/lease-bench.ts';

const quoteOf = (outcome: CreateOutcome) => {
  if (outcome.status !== 'needs_confirmation') throw new Error(outcome.status);
  return outcome.quote;
};
const rentedOf = (outcome: CreateOutcome) => {
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  return outcome;
};
/** Half a dollar an hour for six hours: $3 in all. */
const clock = () => new ManualClock('2026-01-01T06:00:00.000Z');

describe('a limit that this very pod uses up by 80 % or more [CO-03]', () => {
  it.each([
    [
      { budgetUsd: 3.7 },
      '$3.00 of GPU_LEASE_BUDGET_USD ($3.70) are spent or reserved in all, 81 %',
    ],
    [{ budgetPodUsd: 3.7 }, 'GPU_LEASE_BUDGET_POD_USD ($3.70) are spent or reserved for it, 81 %'],
    [
      { budgetDayUsd: 3.7 },
      'GPU_LEASE_BUDGET_DAY_USD ($3.70) are spent or reserved for 2026-01-01 (UTC), 81 %',
    ],
  ])('%j is told first in the quote and again when it is rented', async (limits, words) => {
    const bench = createLeaseBench({ clock: clock(), limits });
    bench.world.answer = 'unavailable';
    const { notes = [], quoteId } = quoteOf(await bench.create());
    expect(notes[0]).toContain(words);
    const rented = rentedOf(
      await bench.pods.create({ terms: someTerms(), quoteId, waitSeconds: 25 }, bench.options),
    );
    expect(rented.cautions?.join(' ')).toContain(words.slice(words.indexOf('GPU_')));
  });

  it('is not told below it, and counts what others have reserved', async () => {
    const bench = createLeaseBench({
      clock: clock(),
      limits: { budgetUsd: 7, autoApproveUsd: 100 },
    });
    expect(rentedOf(await bench.create()).cautions).toBeUndefined();
    expect(rentedOf(await bench.create()).cautions).toEqual([
      expect.stringContaining('$6.00 of GPU_LEASE_BUDGET_USD ($7.00)'),
    ]);
  });

  it('a budget above what a limit leaves is told in the quote and when it is rented', async () => {
    const bench = createLeaseBench({ clock: clock(), limits: { budgetPodUsd: 9, budgetUsd: 8 } });
    bench.world.answer = 'unavailable';
    const { notes = [], quoteId } = quoteOf(await bench.create({ budgetUsd: 20 }));
    const words = [
      'Budget: GPU_LEASE_BUDGET_POD_USD leaves this pod $9.00, so that binds, not its budget of $20.00.',
      'Budget: GPU_LEASE_BUDGET_USD leaves this pod $8.00, so that binds, not its budget of $20.00.',
    ];
    expect(notes).toEqual(expect.arrayContaining(words));
    const terms = someTerms({ budgetUsd: 20 });
    const rented = await bench.pods.create({ terms, quoteId, waitSeconds: 25 }, bench.options);
    expect(rentedOf(rented).cautions).toEqual(words);
    expect(quoteOf(await bench.create({ budgetUsd: 4 })).notes ?? []).not.toContainEqual(
      expect.stringContaining('so that binds'),
    );
  });

  it('a budget above what GPU_LEASE_BUDGET_POD_USD leaves is refused for a pod that is there, before anybody is asked', async () => {
    const bench = createLeaseBench({
      clock: clock(),
      limits: { budgetPodUsd: 5, autoApproveUsd: 100 },
    });
    const { pod } = rentedOf(await bench.create());
    await expect(
      bench.pods.update(pod.podId, { budgetUsd: 5.01 }, bench.options),
    ).rejects.toMatchObject({
      code: 'budget_exceeded',
      message: expect.stringContaining('GPU_LEASE_BUDGET_POD_USD') as string,
      hint: expect.stringContaining('at most $5.00') as string,
    });
    expect(bench.asked).toEqual([]);
    expect((await bench.store.leases.list())[0]).not.toHaveProperty('budgetUsd');
    const given = await bench.pods.update(pod.podId, { budgetUsd: 5 }, bench.options);
    expect(given.pod.budgetUsd).toBe(5);
  });

  it('is told when more time crosses it', async () => {
    const bench = createLeaseBench({
      clock: clock(),
      limits: { budgetUsd: 4, autoApproveUsd: 100 },
    });
    const { pod } = rentedOf(await bench.create({ ttlMinutes: 60 }));
    const same = await bench.pods.update(pod.podId, { ttlMinutes: 61 }, bench.options);
    expect(same.cautions).toBeUndefined();
    const more = await bench.pods.update(pod.podId, { ttlMinutes: 400 }, bench.options);
    expect(more.cautions).toEqual([expect.stringContaining('GPU_LEASE_BUDGET_USD ($4.00)')]);
  });
});

describe('a refusal by a limit names what helps', () => {
  const hintOf = async (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => {
        throw new Error('it was allowed');
      },
      (failure: unknown) => (failure as { hint: string }).hint,
    );

  it('other pods for their number, cheaper offers for money, the variable for both', async () => {
    const full = createLeaseBench({ limits: { maxPods: 1, autoApproveUsd: 100 } });
    await full.create();
    const number = await hintOf(full.create());
    expect(number).toMatch(/^Destroy a pod .* raise GPU_LEASE_MAX_PODS and start the server again/);
    expect(number).not.toContain('cheaper');
    const poor = createLeaseBench({ limits: { budgetUsd: 1 } });
    expect(await hintOf(poor.create())).toMatch(/^Choose a cheaper offer .*GPU_LEASE_BUDGET_USD/);
  });

  it('no cheaper offer for a pod that is there, or for a budget of less than a minute', async () => {
    const bench = createLeaseBench({
      clock: clock(),
      limits: { budgetUsd: 1, autoApproveUsd: 100 },
    });
    const { pod } = rentedOf(await bench.create({ ttlMinutes: 60 }));
    const longer = bench.pods.update(pod.podId, { ttlMinutes: 600 }, bench.options);
    expect(await hintOf(longer)).toMatch(/^Give fewer ttlMinutes/);
    expect(await hintOf(bench.create({ budgetUsd: 0.001 }))).toMatch(/\$0\.50 an hour.*budgetUsd/);
  });
});

describe('a cloud on which nothing but this server ends a pod', () => {
  const alone = { canHoldDeadlines: false };
  const cautionsOn = async (
    isWatched: boolean | undefined,
    cloud: { canHoldDeadlines?: boolean; deadlineFile?: string },
    usdPerHour = 0.5,
  ) => {
    const bench = createLeaseBench({
      limits: { autoApproveUsd: 100 },
      cloud: { offers: [anOffer({ usdPerHour })], ...cloud },
      care: isWatched === undefined ? {} : { isWatched: async () => Promise.resolve(isWatched) },
    });
    return rentedOf(await bench.create()).cautions;
  };

  it('says so in the create result while no watcher is wanted', async () => {
    expect(await cautionsOn(false, alone)).toEqual([
      expect.stringMatching(/^Nothing outside this server stops the meter: vast /),
    ]);
  });

  it('says nothing with a watcher, a limit of the cloud, a timer on the pod, or no price', async () => {
    expect(await cautionsOn(true, alone)).toBeUndefined();
    expect(await cautionsOn(false, { canHoldDeadlines: true })).toBeUndefined();
    expect(await cautionsOn(false, { deadlineFile: '.x/deadline' })).toBeUndefined();
    expect(await cautionsOn(false, alone, 0)).toBeUndefined();
  });

  it('says so in the quote, before anybody agrees', async () => {
    const bench = createLeaseBench({
      cloud: alone,
      care: { isWatched: async () => Promise.resolve(false) },
    });
    bench.world.answer = 'unavailable';
    expect(quoteOf(await bench.create()).notes?.[0]).toMatch(/stops the meter/);
  });
});

it('the end by a spent limit is never announced for a time beyond the deadline', async () => {
  const bench = createLeaseBench({
    clock: clock(),
    limits: { budgetUsd: 0.5084, autoApproveUsd: 100 },
  });
  const { pod } = rentedOf(await bench.create({ ttlMinutes: 61 }));
  bench.clock.advance(59.5 * 60);
  const said = (await bench.pods.enforce(bench.options)).join(' ');
  const [, endAt = ''] = /ends at (\S+)\.$/.exec(said) ?? [];
  expect(endAt).toBe(pod.deadlineAt);
});
