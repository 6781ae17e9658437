import { describe, expect, it } from 'vitest';
import type { FaultRule } from '../../src/core/sandbox.ts';
import {
  type AgentBench,
  briefly,
  type Errand,
  type ErrandMoment,
  openAgentBench,
  runErrand,
  type Step,
} from '../support/vast-agent.ts';
import { sampled } from '../support/whole.ts';

const SEARCH = 'POST /api/v0/bundles';
const ACCOUNT = 'GET /api/v0/users/current';
const KEYS = 'GET /api/v0/ssh';
const ADD_KEY = 'POST /api/v0/ssh';
const LIST = 'GET /api/v1/instances';
const CREATE = 'PUT /api/v0/asks';
const SHOW = 'GET /api/v0/instances/';
const DESTROY = 'DELETE /api/v0/instances/';

interface Row {
  /** The step of a creation that it strikes at. */
  readonly at: ErrandMoment;
  readonly rule: FaultRule;
  /** What the tools said of it, in any answer. */
  readonly says?: RegExp;
  readonly wants?: Errand['wants'];
  readonly terms?: Errand['terms'];
  /** The first of the candidates has this fault too. */
  readonly first?: FaultRule;
  /** Strikes the first of the candidates alone. */
  readonly onFirst?: boolean;
}

const once = (kind: string, route: string, more: Partial<FaultRule> = {}): FaultRule => ({
  kind,
  route,
  times: 1,
  ...more,
});
const WIRE = ['rate-limit', 'http-502', 'truncated', 'drop-after', 'success-false'];
const nameOf = ({ at, rule, first }: Row): string =>
  [
    rule.kind,
    rule.route === undefined ? '' : `on ${rule.route}`,
    rule.times === undefined ? 'for good' : `x ${rule.times}`,
    `at "${at}"`,
    first === undefined ? '' : `while ${first.kind} is replaced`,
  ]
    .filter((word) => word !== '')
    .join(' ');
const named = (rows: readonly Row[]): [string, Row][] => rows.map((row) => [nameOf(row), row]);

/** What a row must come to, whatever struck. */
async function hold(bench: AgentBench, row: Row): Promise<readonly Step[]> {
  const { cloud } = bench;
  const before: Errand['before'] = (moment, offerIds) => {
    const offerId = (offerIds[0] ?? '').replace('vast:', '');
    if (moment === 'quote' && row.first !== undefined) cloud.faults.add({ ...row.first, offerId });
    if (moment === row.at)
      cloud.faults.add(row.onFirst === true ? { ...row.rule, offerId } : row.rule);
  };
  const trail = await runErrand(bench, {
    wants: row.wants ?? 'rented',
    before,
    ...(row.terms === undefined ? {} : { terms: row.terms }),
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
  for (const { podId, status } of pods) {
    const told = await bench.call('report', { podId });
    expect(told, briefly(trail)).toMatchObject({ isError: false, data: { status } });
    // A failed one is an order of which nothing came.
    expect(status).toBe(/^vast:[0-9]+$/.test(podId) ? 'gone' : 'failed');
  }
  const known = new Set(pods.map(({ podId }) => podId));
  const strangers = cloud
    .books()
    .instances.filter(({ id, billedSeconds }) => billedSeconds > 30 && !known.has(`vast:${id}`));
  expect(strangers, briefly(trail)).toEqual([]);
  if (row.says !== undefined) expect(JSON.stringify(trail)).toMatch(row.says);
  return trail;
}

describe.concurrent('each fault at each step of a creation: nothing is left that is charged', () => {
  const rows: readonly Row[] = [
    ...WIRE.flatMap((kind, row) =>
      sampled<Row>(
        [
          { at: 'find', rule: once(kind, SEARCH) },
          { at: 'quote', rule: once(kind, SEARCH) },
          { at: 'quote', rule: once(kind, ACCOUNT) },
          { at: 'order', rule: once(kind, SEARCH) },
          { at: 'order', rule: once(kind, KEYS) },
          { at: 'order', rule: once(kind, ADD_KEY) },
          { at: 'order', rule: once(kind, LIST) },
          { at: 'order', rule: once(kind, CREATE) },
          { at: 'order', rule: once(kind, SHOW) },
          { at: 'rented', rule: { ...once(kind, LIST), times: 2 } },
          { at: 'end', rule: { ...once(kind, DESTROY), times: 2 } },
          { at: 'end', rule: { ...once(kind, SHOW), times: 2 } },
        ],
        row,
      ),
    ),
  ];
  it.each(named(rows))('%s', async (_name, row) => {
    await using bench = await openAgentBench();
    await hold(bench, row);
  });
});

describe.concurrent('each trouble of the market', () => {
  const rows: readonly Row[] = [
    { at: 'order', rule: { kind: 'offer-taken', times: 1 }, says: /offer_gone/ },
    { at: 'order', rule: { kind: 'offer-taken' }, says: /offer_gone/ },
    { at: 'order', rule: { kind: 'offer-gone-410', times: 1 }, says: /offer_gone/ },
    { at: 'order', rule: { kind: 'price-rise', value: 1.5 }, says: /price_changed/ },
    { at: 'quote', rule: { kind: 'price-rise', value: 1.5 } },
    { at: 'order', rule: { kind: 'no-credit', times: 1 }, says: /insufficient_credit/ },
    { at: 'order', rule: { kind: 'spend-rate-limit', times: 1 }, says: /rate_limited/ },
    { at: 'order', rule: { kind: 'create-failed-with-contract', times: 1 }, says: /no_capacity/ },
    { at: 'order', rule: { kind: 'create-failed-with-contract' }, says: /no_capacity/ },
    { at: 'order', rule: { kind: 'create-without-instance', times: 1 } },
    { at: 'order', rule: { kind: 'create-unavailable', times: 1 } },
    { at: 'order', rule: { kind: 'list-lag', value: 60 } },
  ];
  it.each(named(rows))('%s', async (_name, row) => {
    await using bench = await openAgentBench();
    await hold(bench, row);
  });

  it.each(['drop-after', 'truncated'])(
    '%s on the order, and lists lag: the answer is lost and the machine unseen at first',
    async (kind) => {
      await using bench = await openAgentBench();
      await hold(bench, {
        at: 'order',
        rule: once(kind, CREATE),
        first: { kind: 'list-lag', value: 50 },
      });
    },
  );
});

describe.concurrent('bad weather: a quarter of all that can go wrong does, while a bad host is replaced', () => {
  it.each([1, 2, 3, 4])('seed %i', async (seed) => {
    await using bench = await openAgentBench({ seed });
    const { faults } = bench.cloud;
    const trail = await runErrand(bench, {
      wants: 'replaced',
      before(moment, [first = '']) {
        if (moment === 'quote')
          faults.add({ kind: 'oci-error', offerId: first.replace('vast:', '') });
        if (moment === 'rented') faults.setChaos(0.25);
      },
    });
    expect(bench.billing(), briefly(trail)).toEqual([]);
    expect(bench.mostBilling(), briefly(trail)).toBe(1);
    faults.clear();
    await bench.cloud.clock.advance(900);
    await bench.clock.sleep(20, { signal: new AbortController().signal });
    expect(bench.billing(), briefly(trail)).toEqual([]);
  });
});

describe.concurrent('each fault of an end', () => {
  const rows: readonly Row[] = [
    { at: 'end', rule: { kind: 'destroy-fails', times: 3 } },
    { at: 'end', rule: { kind: 'destroy-404', times: 2 } },
    { at: 'end', rule: { kind: 'destroy-ignored', times: 2 } },
    { at: 'end', rule: { kind: 'destroy-lingers', value: 60 } },
    { at: 'end', rule: { kind: 'null-once', times: 1 } },
    { at: 'end', rule: { kind: 'null-once', times: 2 } },
    { at: 'end', rule: { kind: 'reads-nothing', times: 1 } },
    { at: 'end', rule: { kind: 'reads-nothing', times: 3 } },
  ];
  it.each(named(rows))('%s', async (_name, row) => {
    await using bench = await openAgentBench();
    await hold(bench, row);
  });
});

describe.concurrent('each fault while a bad host is replaced: never two at once, and nothing left', () => {
  const first: FaultRule = { kind: 'oci-error' };
  const rows: readonly Row[] = [
    { at: 'rented', rule: once('http-502', SEARCH) },
    { at: 'rented', rule: once('http-502', CREATE) },
    { at: 'rented', rule: once('drop-after', CREATE) },
    { at: 'rented', rule: once('drop-before', CREATE) },
    { at: 'rented', rule: once('truncated', CREATE) },
    { at: 'rented', rule: once('success-false', CREATE) },
    { at: 'rented', rule: { kind: 'offer-taken', times: 1 } },
    { at: 'rented', rule: { kind: 'offer-gone-410', times: 1 } },
    { at: 'rented', rule: { kind: 'price-rise', value: 2 } },
    { at: 'rented', rule: { kind: 'no-credit', times: 1 } },
    { at: 'rented', rule: { kind: 'create-failed-with-contract', times: 1 } },
    { at: 'rented', rule: { kind: 'list-lag', value: 60 } },
    { at: 'rented', rule: { kind: 'destroy-fails', times: 3 } },
    { at: 'rented', rule: { kind: 'destroy-404', times: 2 } },
    { at: 'rented', rule: { kind: 'destroy-lingers', value: 45 } },
    { at: 'rented', rule: { kind: 'destroy-ignored', times: 2 } },
    { at: 'rented', rule: { kind: 'null-once', times: 1 } },
    { at: 'rented', rule: { kind: 'reads-nothing', times: 2 } },
    { at: 'rented', rule: once('http-503', LIST, { times: 4 }) },
    { at: 'rented', rule: once('rate-limit', KEYS) },
    { at: 'rented', rule: { kind: 'logs-never' } },
  ];
  it.each(named(rows.map((row) => ({ ...row, first, wants: 'replaced' as const }))))(
    '%s',
    async (_name, row) => {
      // Slower than the others: a replacement that comes too late is called off, rightly.
      await using bench = await openAgentBench({ speed: 20 });
      await hold(bench, row);
    },
  );
});

describe.concurrent('each fault on the way up, until a pod is ready or nothing is left', () => {
  const rows: readonly Row[] = [
    { at: 'quote', rule: { kind: 'stuck-null' } },
    { at: 'quote', rule: { kind: 'stuck-loading' } },
    { at: 'quote', rule: { kind: 'exits' } },
    { at: 'quote', rule: { kind: 'oci-error' } },
    { at: 'quote', rule: { kind: 'offline' } },
    { at: 'quote', rule: { kind: 'manifest-unknown' } },
    { at: 'quote', rule: { kind: 'pull-denied' } },
    { at: 'quote', rule: { kind: 'ssh-nowhere' } },
    { at: 'quote', rule: { kind: 'ssh-refuses-key' } },
    { at: 'quote', rule: { kind: 'wrong-gpu' } },
    { at: 'quote', rule: { kind: 'mapping-missing' } },
    { at: 'quote', rule: { kind: 'vanishes', afterSeconds: 20 } },
  ];
  it.each(named(rows.map((row) => ({ ...row, onFirst: true, wants: 'ready' as const }))))(
    '%s',
    async (_name, row) => {
      await using bench = await openAgentBench({ machines: 'pods' });
      await hold(bench, row);
    },
  );
});
