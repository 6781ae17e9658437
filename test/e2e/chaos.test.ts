import { expect, it } from 'vitest';
import { chaosGroups, runChaos } from '../support/chaos.ts';
import { chaosPlans } from '../support/chaos-plan.ts';

/** `npm run bench -- chaos` runs many more. */
const SEED = 11;
const CYCLES = 6;

it('the same seed is the same chaos, whichever cycle of it is repeated', () => {
  const all = chaosPlans(SEED, 60);
  expect(chaosPlans(SEED, 60)).toEqual(all);
  expect(chaosPlans(SEED, 1, 17)).toEqual([all[17]]);
  expect(chaosPlans(SEED + 1, 60)).not.toEqual(all);
  // Every kind of trouble is in it.
  for (const key of ['strike', 'comeback', 'watcherDiesAt', 'podDies', 'network', 'fault'] as const)
    expect(all.filter((plan) => plan[key] !== undefined).length, key).toBeGreaterThan(2);
  expect(all.filter(({ isAbandoned }) => isAbandoned).length).toBeGreaterThan(2);
  // Nobody is left to end a Lambda pod, which cannot end itself.
  expect(all.filter(({ isAbandoned, cloud }) => isAbandoned && cloud === 'lambda')).toEqual([]);
});

it('servers, watcher, machines, links and clouds fail: nothing is charged late, lost or rented twice', async () => {
  const plans = chaosPlans(SEED, CYCLES).map((plan) => ({ ...plan, isAbandoned: false }));
  const results = await runChaos(chaosGroups(plans, CYCLES), CYCLES);
  const words = JSON.stringify(results, undefined, 1);
  expect(
    results.flatMap(({ broken }) => broken),
    words,
  ).toEqual([]);
  const sum = (of: (result: (typeof results)[number]) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  // A run in which nothing was rented or made proves nothing.
  expect(
    sum(({ machines }) => machines),
    words,
  ).toBeGreaterThanOrEqual(3);
  expect(
    sum(({ home }) => home),
    words,
  ).toBeGreaterThanOrEqual(2);
  expect(
    sum(({ sinceDeadline }) => sinceDeadline.length),
    words,
  ).toBeGreaterThanOrEqual(1);
});
