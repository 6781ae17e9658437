import { describe, expect, it } from 'vitest';
import { type PodId, podIdSchema } from '../../../../src/core/ids.ts';
import type { OfferQuery } from '../../../../src/core/offer.ts';
import type { Provider } from '../../../../src/core/provider.ts';
import { createVastProvider } from '../../../../src/providers/vast/provider.ts';
import { fc } from '../../../support/property.ts';
import type { StubAnswer } from '../../../support/stub-cloud.ts';
import {
  failureOf,
  KEY,
  OPTIONS,
  openBench,
  PUBLIC_KEY,
  page,
  type Routes,
  request,
  shown,
} from './fake.ts';
import { contractRow } from './rows.ts';

const ANY_OFFER: OfferQuery = {
  gpu: [],
  gpuCount: 1,
  minVramGb: 1,
  diskGb: 64,
  minReliability: 0,
  regions: [],
  interruptible: false,
};
const POD: PodId = podIdSchema.parse('vast:7835610');
const SHOW = 'GET /api/v0/instances/';
const DESTROY = 'DELETE /api/v0/instances/';
const MANAGE = 'PUT /api/v0/instances/7835610/';
const BAD_KEY: StubAnswer = {
  status: 404,
  json: { success: false, error: 'auth_error', msg: 'Invalid user key' },
};

describe('one look', () => {
  it('a 200 with instances:null means gone (vast.md 16.2)', async () => {
    await using bench = await openBench();
    expect(await bench.provider.getPod(POD, OPTIONS)).toBeUndefined();
    expect(bench.cloud.lines()).toEqual(['GET /api/v0/instances/7835610/']);
  });

  it.each<[string, StubAnswer, string]>([
    ['a bad key under 404 (vast.md 16.2)', BAD_KEY, 'auth_rejected'],
    ['a bare 404', { status: 404, text: 'Not Found' }, 'provider_contract'],
    ['a page of a gateway', { status: 404, text: '<html>404</html>' }, 'provider_contract'],
    ['410', { status: 410, json: { error: 'deprecated_endpoint', msg: 'x' } }, 'provider_contract'],
    ['an empty object', { json: {} }, 'provider_contract'],
    ['a list', { json: { instances: [] } }, 'provider_contract'],
    ['null alone', { json: null }, 'provider_contract'],
    ['another pod', shown({ id: 5 }), 'provider_contract'],
    ['success:false', { json: { success: false, msg: 'x' } }, 'provider_unavailable'],
    ['a failure', { status: 500, text: 'x' }, 'provider_unavailable'],
    ['half an answer', { json: { instances: null }, fault: 'cut' }, 'provider_unavailable'],
  ])('%s is never "gone"', async (_name, answer, code) => {
    await using bench = await openBench({ [SHOW]: answer });
    expect((await failureOf(bench.provider.getPod(POD, OPTIONS))).code).toBe(code);
  });

  it('an id that Vast.ai never gives is gone without a question', async () => {
    await using bench = await openBench();
    for (const id of ['vast:abc', 'vast:0', 'vast:V.881', 'vast:1.5', 'local:7835610'])
      expect(await bench.provider.getPod(podIdSchema.parse(id), OPTIONS)).toBeUndefined();
    expect(bench.cloud.seen).toEqual([]);
  });
});

describe('the list', () => {
  it('asks the v1 endpoint for all pages of 25 (vast.md 16.1)', async () => {
    const rows = Array.from({ length: 60 }, (_, at) =>
      contractRow({ id: at + 1, label: `l${at}` }),
    );
    await using bench = await openBench({
      'GET /api/v1/instances/': ({ query }) => {
        const from = Number(query.get('after_token') ?? '0');
        const next = from + 25;
        return {
          json: {
            success: true,
            instances: rows.slice(from, next),
            next_token: next < rows.length ? String(next) : null,
          },
        };
      },
    });
    const pods = await bench.provider.listPods(OPTIONS);
    expect(pods.map(({ podId }) => podId)).toEqual(rows.map((row) => `vast:${String(row['id'])}`));
    expect(bench.cloud.seen.map(({ query }) => query.get('limit'))).toEqual(['25', '25', '25']);
    expect(bench.cloud.seen[0]?.query.get('order_by')).toBe('[{"col":"id","dir":"asc"}]');
  });

  it('a row that comes twice is one pod; a list that does not end is told', async () => {
    await using bench = await openBench({
      'GET /api/v1/instances/': (_, nth) => ({
        json: { instances: [contractRow({ id: 1 })], next_token: nth < 3 ? `t${nth}` : null },
      }),
    });
    expect(await bench.provider.listPods(OPTIONS)).toHaveLength(1);
    await using endless = await openBench({
      'GET /api/v1/instances/': { json: { instances: [], next_token: 'same' } },
    });
    expect((await failureOf(endless.provider.listPods(OPTIONS))).code).toBe('provider_contract');
    expect(endless.cloud.seen.length).toBeLessThan(5);
  });

  it('one row without a number fails the whole list: a pod that is not seen may be charged', async () => {
    await using bench = await openBench({
      'GET /api/v1/instances/': page(contractRow(), { actual_status: 'running' }),
    });
    expect((await failureOf(bench.provider.listPods(OPTIONS))).code).toBe('provider_contract');
  });

  it('odd descriptive fields hide no pod', async () => {
    await using bench = await openBench({
      'GET /api/v1/instances/': page(
        contractRow({ id: 1, label: null, ports: 'x', ssh_port: '1', dph_total: null }),
        contractRow({ id: '2', actual_status: 7, public_ipaddr: [] }),
      ),
    });
    const pods = await bench.provider.listPods(OPTIONS);
    expect(pods.map(({ podId }) => podId)).toEqual(['vast:1', 'vast:2']);
  });
});

describe('destroy', () => {
  it('sends a body, as the official tool does, and never waits for a yes (vast.md 16.5)', async () => {
    await using bench = await openBench();
    await bench.provider.terminatePod(POD, OPTIONS);
    expect(bench.cloud.lines()).toEqual(['DELETE /api/v0/instances/7835610/']);
    expect(bench.bodies(DESTROY)).toEqual([{}]);
  });

  it.each([
    { error: 'no_such_instance', msg: 'Instance 7835610 not found.' },
    { error: 'not_found', msg: 'Instance not found' },
    { msg: 'Instance with that ID does not exist.' },
  ])('a missing pod is done, once a look says so too: %j', async (json) => {
    await using bench = await openBench({ [DESTROY]: { status: 404, json } });
    await bench.provider.terminatePod(POD, OPTIONS);
    expect(bench.count(SHOW)).toBe(1);
  });

  it.each<[string, StubAnswer, StubAnswer, string]>([
    ['a bad key under 404', BAD_KEY, { json: { instances: null } }, 'auth_rejected'],
    [
      'a bare 404',
      { status: 404, text: 'nope' },
      { json: { instances: null } },
      'provider_contract',
    ],
    [
      'a 404 for a pod that is still there',
      { status: 404, json: { error: 'not_found' } },
      shown(),
      'not_found',
    ],
    [
      '200 with success:false',
      { json: { success: false, msg: 'no' } },
      shown(),
      'provider_unavailable',
    ],
    ['a failure', { status: 500, text: 'x' }, shown(), 'provider_unavailable'],
    [
      'a 429 that does not end',
      { status: 429, json: { error: 'rate_limit_exceeded', msg: 'x' } },
      shown(),
      'rate_limited',
    ],
  ])('%s throws: it is not "missing"', async (_name, answer, look, code) => {
    await using bench = await openBench({ [DESTROY]: answer, [SHOW]: look });
    expect((await failureOf(bench.provider.terminatePod(POD, OPTIONS))).code).toBe(code);
  });

  it('is repeated after a 429, a failure and a lost answer', async () => {
    const answers: StubAnswer[] = [{ status: 429, text: 'too frequent' }, { fault: 'drop' }];
    await using bench = await openBench({
      [DESTROY]: (_, nth) => answers[nth - 1] ?? { json: { success: true } },
    });
    await bench.provider.terminatePod(POD, OPTIONS);
    expect(bench.count(DESTROY)).toBe(3);
  });
});

describe('power', () => {
  it('stop, start and restart are the calls of vast.md 7', async () => {
    await using bench = await openBench({
      [MANAGE]: { json: { success: true } },
      'PUT /api/v0/instances/reboot/': { json: { success: true } },
    });
    const { power } = bench.provider;
    await power?.stopPod(POD, OPTIONS);
    await power?.startPod(POD, OPTIONS);
    await power?.restartPod(POD, OPTIONS);
    expect(bench.bodies(MANAGE)).toEqual([{ state: 'stopped' }, { state: 'running' }]);
    expect(bench.cloud.lines()[2]).toBe('PUT /api/v0/instances/reboot/7835610/');
  });

  it('a start that is refused under 200 leaves nothing queued (vast.md 6.4)', async () => {
    await using bench = await openBench({
      [MANAGE]: ({ body }) =>
        JSON.stringify(body).includes('running')
          ? {
              json: { success: false, error: 'resources_unavailable', msg: 'state change queued.' },
            }
          : { json: { success: true } },
    });
    const failure = await failureOf(
      bench.provider.power?.startPod(POD, OPTIONS) ?? Promise.resolve(),
    );
    expect(failure.code).toBe('no_capacity');
    expect(bench.bodies(MANAGE)).toEqual([{ state: 'running' }, { state: 'stopped' }]);
  });

  it('a queued start that cannot be taken back is said to be there', async () => {
    await using bench = await openBench({
      [MANAGE]: ({ body }) =>
        JSON.stringify(body).includes('running')
          ? { json: { success: false, error: 'resources_unavailable', msg: 'queued' } }
          : { status: 500 },
    });
    const failure = await failureOf(
      bench.provider.power?.startPod(POD, OPTIONS) ?? Promise.resolve(),
    );
    expect(failure).toMatchObject({ code: 'outcome_unknown' });
    expect(failure.message).toContain('vast:7835610');
  });

  it('the state before a start by another server is none either, once it is told of', async () => {
    await using bench = await openBench({
      [SHOW]: shown({ actual_status: 'exited', intended_status: 'running' }),
    });
    const status = async () => (await bench.provider.getPod(POD, OPTIONS))?.status;
    expect(await status()).toBe('failed');
    const told = (secondsAgo: number) => {
      const startedAt = new Date(bench.clock.now().getTime() - secondsAgo * 1000).toISOString();
      bench.provider.recall?.({ podId: POD, label: 'gl-1', usdPerHour: 1, startedAt });
    };
    told(121);
    expect(await status()).toBe('failed');
    told(60);
    expect(await status()).toBe('provisioning');
    bench.clock.advance(61);
    expect(await status()).toBe('failed');
  });

  it('the state before a start is not taken for a failure, for two minutes', async () => {
    await using bench = await openBench({
      [MANAGE]: { json: { success: true } },
      [SHOW]: shown({ actual_status: 'exited' }),
    });
    const status = async () => (await bench.provider.getPod(POD, OPTIONS))?.status;
    expect(await status()).toBe('failed');
    await bench.provider.power?.startPod(POD, OPTIONS);
    expect(await status()).toBe('provisioning');
    bench.clock.advance(121);
    expect(await status()).toBe('failed');
  });

  it('an unknown pod is not_found', async () => {
    const answer = { status: 404, json: { error: 'no_such_instance', msg: 'x' } };
    await using bench = await openBench({ [MANAGE]: answer });
    expect(
      (await failureOf(bench.provider.power?.stopPod(POD, OPTIONS) ?? Promise.resolve())).code,
    ).toBe('not_found');
  });
});

describe('bids', () => {
  const BID = 'PUT /api/v0/instances/bid_price/';
  const change = async (row: Readonly<Record<string, unknown>>, usd: number, after = row) => {
    const bench = await openBench({
      [SHOW]: (_, nth) => shown(nth === 1 ? row : after),
      [BID]: { json: { success: true } },
    });
    return {
      bench,
      work: bench.provider.bids?.changeBid(POD, usd, OPTIONS) ?? Promise.reject(new Error()),
      [Symbol.asyncDispose]: async () => bench[Symbol.asyncDispose](),
    };
  };

  it('a bid is sent as it is given', async () => {
    await using changed = await change({ is_bid: true, min_bid: 0.2 }, 0.25);
    const { bench, work } = changed;
    await work;
    expect(bench.bodies(BID)).toEqual([{ client_id: 'me', price: 0.25 }]);
  });

  it.each([
    [{ is_bid: true, min_bid: 0.2 }, 0.1, 'invalid_input'],
    [{ is_bid: true, min_bid: 0.2 }, 33, 'invalid_input'],
    [{ is_bid: true, min_bid: null }, 0, 'invalid_input'],
    [{ is_bid: false }, 0.3, 'unsupported'],
  ])('%j with %d is %s', async (row, usd, code) => {
    await using changed = await change(row, usd);
    const { bench, work } = changed;
    expect((await failureOf(work)).code).toBe(code);
    expect(bench.count(BID)).toBe(0);
  });

  it('read as a price per GPU, it is corrected at once', async () => {
    const row = { is_bid: true, min_bid: 0.2, num_gpus: 4, dph_base: 1 };
    await using changed = await change(row, 2, { ...row, dph_base: 8 });
    const { bench, work } = changed;
    await work;
    expect(bench.bodies(BID).map((body) => body['price'])).toEqual([2, 0.5]);
    await using right = await change(row, 2, { ...row, dph_base: 2 });
    await right.work;
    expect(right.bench.bodies(BID)).toHaveLength(1);
  });
});

describe('the boot log', () => {
  const REQUEST = 'PUT /api/v0/instances/request_logs/7835610/';

  it('is fetched without the key, after 403 and 404 (vast.md 16.21)', async () => {
    await using store = await openBench({
      'GET /log': (_, nth) =>
        nth < 3
          ? { status: nth === 1 ? 403 : 404, text: '<Error>AccessDenied</Error>' }
          : { text: 'a\nb\n' },
    });
    await using bench = await openBench({
      [REQUEST]: { json: { success: true, result_url: `${store.cloud.url}/log` } },
    });
    expect(await bench.provider.logs?.bootLog(POD, 50.7, OPTIONS)).toBe('a\nb\n');
    expect(bench.bodies(REQUEST)).toEqual([{ tail: '50' }]);
    expect(store.cloud.seen).toHaveLength(3);
    for (const { headers } of store.cloud.seen) expect(headers['authorization']).toBeUndefined();
  });

  it('that never comes is unavailable, within a minute', async () => {
    await using bench = await openBench({ 'GET /log': { status: 403 } });
    await using asked = await openBench({
      [REQUEST]: { json: { result_url: `${bench.cloud.url}/log` } },
    });
    const before = asked.clock.now().getTime();
    const failure = await failureOf(
      asked.provider.logs?.bootLog(POD, 50, OPTIONS) ?? Promise.resolve(),
    );
    expect(failure).toMatchObject({ code: 'provider_unavailable', retryAfterSeconds: 30 });
    expect(asked.clock.now().getTime() - before).toBeLessThanOrEqual(60_000);
  });

  it.each(['file:///etc/passwd', 'javascript:alert(1)', 'not a url', 'ftp://x/y'])(
    'no other kind of address is opened: %s',
    async (result_url) => {
      await using bench = await openBench({ [REQUEST]: { json: { result_url } } });
      expect(
        (await failureOf(bench.provider.logs?.bootLog(POD, 5, OPTIONS) ?? Promise.resolve())).code,
      ).toBe('provider_contract');
    },
  );

  it('that is endless is cut off', async () => {
    await using store = await openBench({ 'GET /log': { text: 'x'.repeat(2_000_000) } });
    await using bench = await openBench({
      [REQUEST]: { json: { result_url: `${store.cloud.url}/log` } },
    });
    expect(
      (await failureOf(bench.provider.logs?.bootLog(POD, 5, OPTIONS) ?? Promise.resolve())).code,
    ).toBe('provider_contract');
  });
});

describe('SSH keys', () => {
  const LIST = 'GET /api/v0/ssh/';
  const ADD = 'POST /api/v0/ssh/';
  const blob = PUBLIC_KEY.split(' ').slice(0, 2).join(' ');

  it.each<[string, StubAnswer, number]>([
    ['with another comment (vast.md 16.15)', { json: [{ id: 1, key: `${blob} laptop` }] }, 0],
    ['under the other name', { json: [{ id: 1, public_key: blob }] }, 0],
    ['not, among others', { json: [{ id: 1, key: 'ssh-ed25519 BBBB x' }] }, 1],
    ['deleted', { json: [{ id: 1, key: PUBLIC_KEY, deleted_at: '2026-01-01T00:00:00Z' }] }, 1],
    ['not, with no keys at all', { json: [] }, 1],
    ['not, told as 404', { status: 404, json: { msg: 'No SSH keys found for the user.' } }, 1],
  ])('a key that is there %s is registered %3$d times', async (_name, answer, times) => {
    await using bench = await openBench({ [LIST]: answer, [ADD]: { json: { success: true } } });
    await bench.provider.keys?.registerKey(PUBLIC_KEY, OPTIONS);
    expect(bench.count(ADD)).toBe(times);
  });

  it('a bad key is not "no SSH keys"', async () => {
    await using bench = await openBench({ [LIST]: BAD_KEY, [ADD]: { json: {} } });
    const failure = await failureOf(
      bench.provider.keys?.registerKey(PUBLIC_KEY, OPTIONS) ?? Promise.resolve(),
    );
    expect(failure.code).toBe('auth_rejected');
    expect(bench.count(ADD)).toBe(0);
  });

  it.each([
    '-----BEGIN OPENSSH PRIVATE KEY-----\nxxx',
    'ssh-ed25519 AAAA a\nssh-ed25519 BBBB b',
    'hello',
    '',
  ])('only one public key ever leaves: %j', async (text) => {
    await using bench = await openBench({ [LIST]: { json: [] } });
    expect(
      (await failureOf(bench.provider.keys?.registerKey(text, OPTIONS) ?? Promise.resolve())).code,
    ).toBe('invalid_input');
    expect(bench.cloud.seen).toEqual([]);
  });

  it('a team key is told what to do', async () => {
    const answer = {
      status: 400,
      json: { error: 'team_ssh_keys_not_supported', msg: 'Team SSH keys' },
    };
    await using bench = await openBench({ [LIST]: { json: [] }, [ADD]: answer });
    const failure = await failureOf(
      bench.provider.keys?.registerKey(PUBLIC_KEY, OPTIONS) ?? Promise.resolve(),
    );
    expect(failure).toMatchObject({ code: 'unsupported' });
  });

  it('a running pod gets the key by attach; twice is no failure', async () => {
    const route = 'POST /api/v0/instances/7835610/ssh/';
    await using bench = await openBench({
      [route]: (_, nth) =>
        nth === 1
          ? { json: { success: true, msg: 'SSH key attached successfully' } }
          : { status: 400, json: { error: 'invalid_args', msg: 'key already attached' } },
    });
    await bench.provider.keys?.attachKey?.(POD, PUBLIC_KEY, OPTIONS);
    await bench.provider.keys?.attachKey?.(POD, PUBLIC_KEY, OPTIONS);
    expect(bench.bodies(route)[0]).toEqual({ ssh_key: PUBLIC_KEY });
  });
});

describe('the account', () => {
  const USER = 'GET /api/v0/users/current';
  it('tells credit, and whether our key is there', async () => {
    await using bench = await openBench({
      [USER]: { json: { id: 1, credit: 25, api_key: KEY, ssh_key: 'x' } },
      'GET /api/v0/ssh/': { json: [{ key: PUBLIC_KEY }] },
    });
    expect(await bench.provider.checkAccount(OPTIONS)).toEqual({
      keySource: 'VAST_API_KEY',
      reachable: true,
      account: expect.stringMatching(/^127\.0\.0\.1:\d+\/1$/) as string,
      balanceUsd: 25,
      sshKeyRegistered: true,
    });
  });

  it('says when there is no credit', async () => {
    await using bench = await openBench({
      [USER]: { json: { credit: -0.4 } },
      'GET /api/v0/ssh/': { json: [] },
    });
    expect(await bench.provider.checkAccount(OPTIONS)).toMatchObject({
      balanceUsd: -0.4,
      sshKeyRegistered: false,
      problem: expect.stringContaining('no credit') as string,
    });
  });

  it.each<[string, StubAnswer, string]>([
    ['a bad key', BAD_KEY, 'does not accept'],
    [
      'two factors',
      {
        status: 401,
        json: { msg: 'requires you to have logged in using Two Factor Authentication' },
      },
      'two-factor',
    ],
    [
      'a missing scope',
      { status: 403, json: { msg: 'Your key lacks the user_read permission group' } },
      'user_read',
    ],
  ])('%s is told in words', async (_name, answer, words) => {
    await using bench = await openBench({ [USER]: answer });
    const failure = await failureOf(bench.provider.checkAccount(OPTIONS));
    expect(failure.code).toBe('auth_rejected');
    expect(failure.message).toContain(words);
  });
});

it('whatever comes back is a typed error or a right answer, and never the key', async () => {
  let current: StubAnswer = {};
  await using bench = await openBench({
    [SHOW]: () => current,
    'GET /api/v1/instances/': () => current,
    [DESTROY]: () => current,
    'GET /api/v0/users/current': () => current,
  });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(200, 200, 200, 400, 401, 403, 404, 410, 422),
      fc.oneof(
        fc.jsonValue(),
        fc.constant({ instances: null }),
        fc.record({ msg: fc.string(), error: fc.string() }),
      ),
      async (status, json) => {
        current = { status, json };
        const calls = [
          async () => bench.provider.getPod(POD, OPTIONS),
          async () => bench.provider.listPods(OPTIONS),
          async () => bench.provider.terminatePod(POD, OPTIONS),
          async () => bench.provider.checkAccount(OPTIONS),
        ];
        for (const call of calls) {
          const told = await call().catch(async (thrown: unknown) =>
            failureOf(Promise.reject(thrown as Error)),
          );
          expect(JSON.stringify({ told })).not.toContain(KEY);
        }
        const isNull = status === 200 && JSON.stringify(json) === '{"instances":null}';
        const gone = await bench.provider.getPod(POD, OPTIONS).catch(() => 'thrown');
        const isTold = /no_such_instance|not_found/.test(JSON.stringify(json));
        if (!isNull && !isTold) expect(gone).not.toBeUndefined();
      },
    ),
    { numRuns: 150 },
  );
});

describe('the least intervals of vast.md 1.5', () => {
  const paced = async (routes: Routes = {}) => {
    const bench = await openBench(routes);
    const provider = createVastProvider({
      apiKey: KEY,
      baseUrl: bench.cloud.url,
      clock: bench.clock,
      ownPublicKey: async () => Promise.resolve(undefined),
      isPaced: true,
    });
    const start = bench.clock.now().getTime();
    return { ...bench, provider, seconds: () => (bench.clock.now().getTime() - start) / 1000 };
  };

  it.each<[string, (provider: Provider) => Promise<unknown>, number, number]>([
    ['one pod', async (provider) => provider.getPod(POD, OPTIONS), 3, 4],
    ['the list', async (provider) => provider.listPods(OPTIONS), 3, 2],
    ['destroy', async (provider) => provider.terminatePod(POD, OPTIONS), 3, 6],
  ])('%s is not asked oftener, however many ask', async (_name, call, times, seconds) => {
    await using bench = await paced();
    await Promise.all(Array.from({ length: times }, async () => call(bench.provider)));
    expect(bench.seconds()).toBeGreaterThanOrEqual(seconds);
    expect(bench.seconds()).toBeLessThan(seconds + 1);
  });

  it('the eleventh search of a minute is told when to come again; a creation waits for its own', async () => {
    await using bench = await paced();
    for (let call = 0; call < 10; call += 1) await bench.provider.listOffers(ANY_OFFER, OPTIONS);
    const failure = await failureOf(bench.provider.listOffers(ANY_OFFER, OPTIONS));
    expect(failure).toMatchObject({ code: 'rate_limited', retryable: true });
    expect(failure.retryAfterSeconds).toBeGreaterThan(50);
    expect(bench.count('POST /api/v0/bundles/')).toBe(10);
    expect(bench.seconds()).toBeLessThan(5);
    await bench.provider.createPod(request(), OPTIONS);
    expect(bench.seconds()).toBeGreaterThanOrEqual(60);
  });

  it('a refused creation waits out its penalty of 12 s, doubled the second time', async () => {
    await using bench = await paced({
      'PUT /api/v0/asks/': (_, nth) =>
        nth < 3
          ? { status: 429, text: 'too frequent' }
          : { json: { success: true, new_contract: 9 } },
    });
    await bench.provider.createPod(request(), OPTIONS);
    expect(bench.seconds()).toBeGreaterThanOrEqual(36);
    expect(bench.seconds()).toBeLessThan(45);
  });

  it('a sandbox on this machine has no neighbours to spare', async () => {
    await using bench = await openBench();
    const start = bench.clock.now().getTime();
    for (let call = 0; call < 5; call += 1) await bench.provider.getPod(POD, OPTIONS);
    expect(bench.clock.now().getTime()).toBe(start);
  });
});
