import { expect, it } from 'vitest';
import { hadWork, runSharedLoad } from '../support/shared-load.ts';

/** Two minutes of it: `npm run bench -- shared-load`. */
const SECONDS = 10;
const STORE_WAIT_SECONDS = 5;

it('two servers and the watcher on one store: no update is lost, no limit overrun, no lock outlives its holder [CO-12] [OW-07]', async () => {
  const seen = await runSharedLoad(SECONDS);
  const words = JSON.stringify(seen, undefined, 1);
  expect(seen.lostUpdates, words).toEqual([]);
  expect(seen.mostCharged, words).toBeLessThanOrEqual(seen.mostPods);
  expect(seen.mostLeases, words).toBeLessThanOrEqual(seen.mostPods);
  expect(seen.staleLocks, words).toEqual([]);
  expect(seen.failures, words).toEqual([]);
  expect(seen.oldestBeatSeconds, words).toBeLessThanOrEqual(seen.beatLimitSeconds);
  expect(seen.longestWriteSeconds, words).toBeLessThan(STORE_WAIT_SECONDS);
  // There was something to lose.
  expect(hadWork(seen), words).toBe(true);
  expect(seen.epochs, words).toEqual([1]);
});
