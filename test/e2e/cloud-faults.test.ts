import { describe, expect, it, vi } from 'vitest';
import { poll } from '../../src/core/poll.ts';
import type { FaultRule } from '../../src/core/sandbox.ts';
import { type CloudBench, type CloudName, openCloudBench } from '../support/cloud-agent.ts';
import { briefly, type Errand, type ErrandMoment, runErrand } from '../support/vast-agent.ts';

interface Row {
  /** The step of a creation that it strikes at. */
  readonly at: ErrandMoment;
  readonly rule: FaultRule;
  /** What the tools said of it, in any answer. */
  readonly says?: RegExp;
  readonly wants?: Errand['wants'];
  /** How many machines the cloud made in all, at least and at most. Absent: one. */
  readonly rents?: readonly [number, number];
}
const once = (kind: string, route: string, more: Partial<FaultRule> = {}): FaultRule => ({
  kind,
  route,
  times: 1,
  ...more,
});
const named = (rows: readonly Row[]): [string, Row][] =>
  rows.map((row) => [
    `${row.rule.kind} ${row.rule.route === undefined ? '' : `on ${row.rule.route} `}x ${row.rule.times ?? 'ever'} at "${row.at}"`,
    row,
  ]);

/** What every row must come to, whatever struck. */
async function hold(bench: CloudBench, provider: CloudName, row: Row): Promise<void> {
  const { cloud } = bench;
  const trail = await runErrand(bench, {
    wants: row.wants ?? 'rented',
    search: { providers: [provider], minReliability: 0, minVramGb: 8, diskGb: 16 },
    before(moment) {
      if (moment === row.at) cloud.faults.add(row.rule);
    },
  });
  // When the tools say that nothing is left, nothing is: in the books of the cloud.
  expect(bench.billing(), briefly(trail)).toEqual([]);
  expect(bench.mostBilling(), briefly(trail)).toBeLessThanOrEqual(1);
  // Nor does anything come back.
  await cloud.clock.advance(900);
  await bench.clock.sleep(20, { signal: new AbortController().signal });
  expect(bench.billing(), briefly(trail)).toEqual([]);
  // A fault that never struck proves nothing.
  expect(
    cloud.faults.list().every(({ struck }) => struck > 0),
    `${JSON.stringify(cloud.faults.list())}${briefly(trail)}`,
  ).toBe(true);
  cloud.faults.clear();
  const ended = await bench.call('list_pods', { includeEnded: true });
  const pods = (ended.data['pods'] ?? []) as readonly { podId: string; status: string }[];
  const rented = new Map(cloud.books().instances.map((one) => [`${provider}:${one.id}`, one]));
  // A failed one is an order of which nothing came.
  for (const { podId, status } of pods)
    expect(status, briefly(trail)).toBe(rented.has(podId) ? 'gone' : 'failed');
  const known = new Set(pods.map(({ podId }) => podId));
  const strangers = [...rented].filter(
    ([podId, { billedSeconds }]) => billedSeconds > 30 && !known.has(podId),
  );
  expect(strangers, briefly(trail)).toEqual([]);
  const [least, most] = row.rents ?? [1, 1];
  expect(rented.size, briefly(trail)).toBeGreaterThanOrEqual(least);
  expect(rented.size, briefly(trail)).toBeLessThanOrEqual(most);
  if (row.says !== undefined) expect(JSON.stringify(trail)).toMatch(row.says);
}

const DEPLOY = 'podFindAndDeployOnDemand';
const RUNPOD: readonly Row[] = [
  { at: 'order', rule: once('drop-after', DEPLOY) },
  { at: 'order', rule: once('drop-before', DEPLOY), rents: [0, 0] },
  { at: 'order', rule: once('truncated', DEPLOY) },
  { at: 'order', rule: once('done-but-500', DEPLOY), rents: [2, 2] },
  { at: 'order', rule: once('http-502', DEPLOY), rents: [0, 0] },
  { at: 'order', rule: once('rate-limit', DEPLOY) },
  { at: 'order', rule: once('rate-limit', 'POST /graphql myself') },
  { at: 'order', rule: { kind: 'no-capacity', times: 1 } },
  { at: 'order', rule: { kind: 'no-capacity' }, says: /no_capacity/, rents: [0, 0] },
  { at: 'order', rule: { kind: 'host-unfit', times: 1 } },
  { at: 'order', rule: { kind: 'create-null', times: 1 } },
  { at: 'order', rule: { kind: 'list-lag', value: 60 } },
  { at: 'order', rule: { kind: 'price-rise', value: 1.5 }, rents: [1, 3] },
  { at: 'quote', rule: { kind: 'no-runtime', times: 1 }, wants: 'replaced', rents: [1, 2] },
  { at: 'quote', rule: { kind: 'no-sshd', times: 1 }, wants: 'replaced', rents: [1, 2] },
  { at: 'end', rule: { kind: 'terminate-lingers', value: 60 } },
  { at: 'end', rule: { kind: 'terminate-ignored', times: 2 } },
  { at: 'end', rule: { kind: 'terminate-fails', times: 3 } },
  { at: 'end', rule: { kind: 'terminate-404', times: 2 } },
  { at: 'end', rule: { kind: 'null-once', times: 1 } },
  { at: 'end', rule: { kind: 'reads-nothing', times: 2 } },
];

const LAUNCH = 'POST /api/v1/instance-operations/launch';
const LIST = 'GET /api/v1/instances';
const LAMBDA: readonly Row[] = [
  { at: 'order', rule: once('drop-after', LAUNCH) },
  { at: 'order', rule: once('drop-before', LAUNCH), rents: [0, 0] },
  { at: 'order', rule: once('truncated', LAUNCH) },
  { at: 'order', rule: once('late-500', LAUNCH) },
  { at: 'order', rule: once('http-502', LAUNCH), rents: [0, 0] },
  { at: 'order', rule: once('rate-limit', LAUNCH) },
  { at: 'order', rule: once('rate-limit', LIST, { times: 2 }) },
  { at: 'order', rule: { kind: 'no-capacity', times: 1 } },
  { at: 'order', rule: { kind: 'no-capacity' }, says: /no_capacity/, rents: [0, 0] },
  { at: 'order', rule: { kind: 'launch-fails-with-instance', times: 1 }, rents: [2, 2] },
  { at: 'order', rule: { kind: 'list-lag', value: 60 } },
  { at: 'order', rule: { kind: 'id-unknown', value: 60 } },
  { at: 'quote', rule: { kind: 'stuck-booting', times: 1 }, wants: 'replaced', rents: [1, 2] },
  { at: 'quote', rule: { kind: 'ssh-nowhere', times: 1 }, wants: 'replaced', rents: [1, 2] },
  { at: 'end', rule: { kind: 'terminate-lingers', value: 120 } },
  { at: 'end', rule: { kind: 'terminate-ignored', times: 2 } },
  { at: 'end', rule: { kind: 'terminate-fails', times: 3 } },
  { at: 'end', rule: { kind: 'terminate-404', times: 2 } },
  { at: 'end', rule: { kind: 'reads-nothing', times: 2 } },
];

describe.concurrent.each([
  ['runpod', RUNPOD],
  ['lambda', LAMBDA],
] as const)(
  '%s: after each fault nothing is left that is charged, and nothing was rented twice',
  (provider, rows) => {
    it.each(named(rows))('%s', async (_name, row) => {
      await using bench = await openCloudBench(provider);
      await hold(bench, provider, row);
    });
  },
);

/** Neither its id nor a list tells of it, and an order to end it does nothing. */
const HIDDEN = ['terminate-ignored', 'null-once', 'reads-nothing'];

async function rentOne(bench: CloudBench, provider: CloudName): Promise<string> {
  const search = { providers: [provider], minReliability: 0, minVramGb: 8, diskGb: 16 };
  // Its time runs fast: a busy machine may not answer in it, and is asked again, as the tool says.
  const offer = await vi.waitFor(
    async () => {
      const { data } = await bench.call('find_offer', search);
      const [first] = data['offers'] as readonly { offerId: string }[];
      if (first === undefined) throw new Error(briefly(bench.trail));
      return first;
    },
    { timeout: 20_000, interval: 200 },
  );
  const quoted = await bench.call('create_pod', { offerId: offer.offerId, ttlMinutes: 120 });
  const { quoteId } = quoted.data['quote'] as { quoteId: string };
  const made = await bench.call('create_pod', { quoteId, waitSeconds: 0 });
  // Seen by its id, so that its absence later means something.
  const { podId } = made.data['pod'] as { podId: string };
  await bench.cloud.clock.advance(900);
  await bench.call('get_pod', { podId });
  return podId;
}
/** In seconds of the cloud. `undefined`: it never came true. Calls no tool. */
async function withinSeconds(
  { clock }: CloudBench,
  seconds: number,
  isTrue: () => boolean,
): Promise<true | undefined> {
  const { signal } = new AbortController();
  const wait = { clock, signal, timeoutSeconds: seconds, everySeconds: 3 };
  return poll(async () => Promise.resolve(isTrue() ? true : undefined), wait);
}

describe.concurrent.each(['runpod', 'lambda'] as const)(
  '%s: a machine that was hidden for a while, and nobody calls a tool',
  (provider) => {
    it('is ended again when its end had been ordered [TD-06]', async ({ expect }) => {
      await using bench = await openCloudBench(provider);
      const podId = await rentOne(bench, provider);
      for (const kind of HIDDEN) bench.cloud.faults.add({ kind });
      const ended = await bench.call('destroy', { podId, waitSeconds: 45 });
      expect(ended.data, briefly(bench.trail)).toMatchObject({ outcome: 'gone' });
      // A cloud that lies on all its ways cannot be seen through: what counts is what happens when it stops.
      expect(bench.billing(), briefly(bench.trail)).toHaveLength(1);
      bench.cloud.faults.clear();
      expect(await withinSeconds(bench, 1800, () => bench.billing().length === 0)).toBe(true);
      const calls = bench.trail.length;
      expect(bench.trail[calls - 1]?.tool).toBe('destroy');
      await expect
        .poll(async () => (await bench.call('list_pods', {})).data['pods'], { timeout: 20_000 })
        .toEqual([]);
    });

    it('is kept when nobody had ordered its end, and ended at its deadline [CO-05]', async ({
      expect,
    }) => {
      await using bench = await openCloudBench(provider);
      const podId = await rentOne(bench, provider);
      for (const kind of HIDDEN) bench.cloud.faults.add({ kind });
      await expect
        .poll(async () => (await bench.call('get_pod', { podId })).data['pod'], { timeout: 20_000 })
        .toMatchObject({ status: 'gone' });
      bench.cloud.faults.clear();
      await bench.cloud.clock.advance(300);
      await bench.clock.sleep(120, { signal: new AbortController().signal });
      expect(bench.billing()).toHaveLength(1);
      await bench.cloud.clock.advance(7200);
      expect(await withinSeconds(bench, 1800, () => bench.billing().length === 0)).toBe(true);
      expect(bench.trail.filter(({ tool }) => tool === 'destroy')).toEqual([]);
    });
  },
);
