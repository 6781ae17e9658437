import { describe, expect, it } from 'vitest';
import { offerIdSchema } from '../../../../src/core/ids.ts';
import type { StubAnswer } from '../../../support/stub-cloud.ts';
import { failureOf, KEY, OPTIONS, openBench, page, request, shown } from './fake.ts';
import { contractRow, offerRow } from './rows.ts';

const CREATE = 'PUT /api/v0/asks/';
const LIST = 'GET /api/v1/instances/';
const SHOW = 'GET /api/v0/instances/';
const DESTROY = 'DELETE /api/v0/instances/';
const SEARCH = 'POST /api/v0/bundles/';

const BID = { offerId: offerIdSchema.parse('vast:26913465/bid') };

describe('what is ordered', () => {
  it('is what the request says, running or not at all, with nothing empty and nothing null', async () => {
    await using bench = await openBench();
    const pod = await bench.provider.createPod(
      request({
        env: { HF_HOME: '/workspace/hf' },
        ports: ['8888/http', '8000/tcp', '5000/udp', '22/tcp'],
        setup: 'pip install x',
        registryLogin: { host: 'registry.example.com', username: 'u', password: 'p4ssw0rd' },
      }),
      OPTIONS,
    );
    expect(pod).toEqual({
      podId: 'vast:7835610',
      label: 'gpl-1',
      status: 'provisioning',
      usdPerHour: expect.closeTo(0.3633, 3) as number,
      machineId: '36683',
      createdAt: expect.stringContaining('2026-08-06T08:00') as string,
    });
    const [{ onstart, ...body } = {}] = bench.bodies(CREATE);
    expect(body).toEqual({
      image: 'pytorch/pytorch',
      disk: 64,
      label: 'gpl-1',
      runtype: 'ssh_direct',
      target_state: 'running',
      cancel_unavail: true,
      image_login: '-u u -p p4ssw0rd registry.example.com',
      env: {
        HF_HOME: '/workspace/hf',
        '-p 8888:8888': '1',
        '-p 8000:8000': '1',
        '-p 5000:5000/udp': '1',
      },
    });
    expect(onstart).toContain('\npip install x\n');
    expect(onstart).toContain('echo 1786024800 > deadline.new');
    expect(bench.cloud.lines()).toEqual([
      'GET /api/v1/instances/',
      'POST /api/v0/bundles/',
      'PUT /api/v0/asks/26913465/',
      'GET /api/v0/instances/7835610/',
    ]);
  });

  it('a bid only where one was given: without it there is no price at all (vast.md 16.8)', async () => {
    await using bench = await openBench({
      [SEARCH]: { json: { offers: [offerRow({ is_bid: true, dph_total: 0.22 })] } },
    });
    const pod = await bench.provider.createPod(request({ ...BID, bidUsdPerHour: 0.25 }), OPTIONS);
    expect(pod.usdPerHour).toBeCloseTo(0.25 + (64 * 0.15) / 720, 4);
    await bench.provider.createPod(request({ label: 'gpl-2' }), OPTIONS);
    const [bid, onDemand] = bench.bodies(CREATE);
    expect(bid?.['price']).toBe(0.25);
    expect(onDemand).not.toHaveProperty('price');
    expect(bench.bodies(SEARCH).map((body) => body['type'])).toEqual(['bid', 'on-demand']);
  });

  it.each([
    ['no image and no template', { image: undefined }],
    ['both', { template: 'abc' }],
    ['an image that is none', { image: 'not an image; rm -rf /' }],
    ['a disk below 8 GB', { diskGb: 4 }],
    ['a name that would be a docker option', { env: { '-v /:/host': '1' } }],
    ['a port that is none', { ports: ['0/tcp'] }],
    ['a port too high', { ports: ['65536'] }],
    ['too many ports', { ports: Array.from({ length: 65 }, (_, at) => String(1000 + at)) }],
    ['a login with a blank', { registryLogin: { host: 'h', username: 'u', password: 'a b' } }],
    ['a bid of nothing', { bidUsdPerHour: 0 }],
  ])('%s is refused before anything is asked of the market', async (_name, changes) => {
    await using bench = await openBench();
    const failure = await failureOf(bench.provider.createPod(request(changes), OPTIONS));
    expect(failure.code).toBe('invalid_input');
    expect([bench.count(CREATE), bench.count(SEARCH)]).toEqual([0, 0]);
  });

  it('a boot script too long says what fits, in bytes; nothing is rented', async () => {
    await using bench = await openBench();
    const setup = `echo ${'ü'.repeat(8000)}`;
    const failure = await failureOf(bench.provider.createPod(request({ setup }), OPTIONS));
    expect(failure).toMatchObject({ code: 'too_large' });
    const fits = Number(/only (\d+) fit/.exec(failure.message)?.[1]);
    expect(fits).toBeGreaterThan(12_000);
    const exact = await bench.provider.createPod(request({ setup: 'x'.repeat(fits) }), OPTIONS);
    expect(exact.status).toBe('provisioning');
    expect(String(bench.bodies(CREATE)[0]?.['onstart']).length).toBe(16_384);
    expect(
      (
        await failureOf(
          bench.provider.createPod(request({ label: 'b', setup: 'x'.repeat(fits + 1) }), OPTIONS),
        )
      ).code,
    ).toBe('too_large');
  });

  it('env longer than 32 KB is refused', async () => {
    await using bench = await openBench();
    const env = { BIG: 'x'.repeat(40_000) };
    expect((await failureOf(bench.provider.createPod(request({ env }), OPTIONS))).code).toBe(
      'too_large',
    );
  });
});

describe('before it is ordered', () => {
  it('the price is looked at again: above the limit nothing is rented', async () => {
    await using bench = await openBench({
      [SEARCH]: { json: { offers: [offerRow({ dph_base: 0.5, dph_total: 0.5133 })] } },
    });
    const failure = await failureOf(bench.provider.createPod(request(), OPTIONS));
    expect(failure).toMatchObject({ code: 'price_changed' });
    expect(failure.message).toContain('$0.5133');
    expect(bench.count(CREATE)).toBe(0);
  });

  it('a price that rises while it is ordered is seen in the contract: removed, price_changed', async () => {
    await using bench = await openBench({
      [SHOW]: (_, nth) =>
        nth === 1 ? shown({ actual_status: null, dph_total: 0.55 }) : { json: { instances: null } },
    });
    const failure = await failureOf(bench.provider.createPod(request(), OPTIONS));
    expect(failure).toMatchObject({ code: 'price_changed' });
    expect(failure.message).toContain('$0.5500');
    expect([bench.count(DESTROY) > 0, bench.count(SHOW)]).toEqual([true, 3]);
  });

  it('with a volume too, whose own price may be part of what the contract tells', async () => {
    const volume = { volumeId: 'V.881', mountPath: '/data' };
    const row = { id: 881, label: 'd', machine_id: 36683, disk_space: 72, storage_cost: 0.1 };
    const volumes = { json: { volumes: [row] } };
    for (const [price, ends] of [
      [request().maxUsdPerHour + 0.009, false],
      [request().maxUsdPerHour + 0.02, true],
    ] as const) {
      await using bench = await openBench({
        'GET /api/v0/volumes': volumes,
        [SHOW]: (_, nth) =>
          nth === 1 ? shown({ dph_total: price }) : { json: { instances: null } },
      });
      const work = bench.provider.createPod(request({ volume }), OPTIONS);
      if (ends) expect((await failureOf(work)).code).toBe('price_changed');
      else expect((await work).usdPerHour).toBeCloseTo(0.3633, 3);
      expect(bench.count(DESTROY) > 0).toBe(ends);
    }
  });

  it('and when that pod stays, it is named', async () => {
    await using bench = await openBench({ [SHOW]: shown({ dph_total: 0.55 }) });
    const failure = await failureOf(bench.provider.createPod(request(), OPTIONS));
    expect(failure).toMatchObject({ code: 'outcome_unknown' });
    expect(failure.message).toContain('vast:7835610');
  });

  it('the price of the contract is the one that is told; a contract that cannot be read ends nothing', async () => {
    await using told = await openBench({ [SHOW]: shown({ dph_total: 0.3634 }) });
    expect((await told.provider.createPod(request(), OPTIONS)).usdPerHour).toBe(0.3634);
    await using silent = await openBench({ [SHOW]: { status: 500 } });
    expect((await silent.provider.createPod(request(), OPTIONS)).status).toBe('provisioning');
    expect(silent.count(DESTROY)).toBe(0);
  });

  it('a bid below what is now the lowest is refused', async () => {
    await using bench = await openBench({
      [SEARCH]: { json: { offers: [offerRow({ is_bid: true, min_bid: 0.3 })] } },
    });
    const failure = await failureOf(
      bench.provider.createPod(request({ ...BID, bidUsdPerHour: 0.25 }), OPTIONS),
    );
    expect(failure).toMatchObject({ code: 'invalid_input' });
    expect(failure.message).toContain('$0.3000');
    expect(bench.count(CREATE)).toBe(0);
  });

  it('the id says which of two prices is meant: a bid goes with a bid offer only [OF-06] (vast.md 16.8)', async () => {
    await using bench = await openBench({
      [SEARCH]: { json: { offers: [offerRow({ is_bid: true })] } },
    });
    for (const wrong of [request(BID), request({ bidUsdPerHour: 0.3 })])
      expect(await failureOf(bench.provider.createPod(wrong, OPTIONS))).toMatchObject({
        code: 'invalid_input',
      });
    expect(bench.count(SEARCH) + bench.count(CREATE)).toBe(0);
  });

  it('an offer that is gone is not ordered', async () => {
    await using bench = await openBench({ [SEARCH]: { json: { offers: [] } } });
    expect((await failureOf(bench.provider.createPod(request(), OPTIONS))).code).toBe('offer_gone');
    expect(bench.count(CREATE)).toBe(0);
  });

  it('the same label is the same pod, also when the list lags behind', async () => {
    await using bench = await openBench({ [SHOW]: shown({ actual_status: null }) });
    const first = await bench.provider.createPod(request(), OPTIONS);
    const again = await bench.provider.createPod(request(), OPTIONS);
    expect(again.podId).toBe(first.podId);
    expect(bench.count(CREATE)).toBe(1);
  });

  it('a label that is there already is not ordered, whoever made it (vast.md 16.20)', async () => {
    await using bench = await openBench({ [LIST]: page(contractRow({ id: 5 })) });
    expect((await bench.provider.createPod(request(), OPTIONS)).podId).toBe('vast:5');
    expect(bench.count(CREATE)).toBe(0);
    const filters = bench.cloud.seen[0]?.query.get('select_filters');
    expect(filters).toBe('{"label":{"in":["gpl-1"]}}');
  });

  it('a filter that the server ignores finds no stranger', async () => {
    await using bench = await openBench({ [LIST]: page(contractRow({ id: 5, label: 'other' })) });
    expect((await bench.provider.createPod(request(), OPTIONS)).podId).toBe('vast:7835610');
  });

  it('calls of one label at the same time make one pod', async () => {
    await using bench = await openBench({ [SHOW]: shown() });
    const pods = await Promise.all(
      Array.from({ length: 6 }, async () => bench.provider.createPod(request(), OPTIONS)),
    );
    expect(new Set(pods.map(({ podId }) => podId)).size).toBe(1);
    expect(bench.count(CREATE)).toBe(1);
  });

  it('when the lookup fails, nothing is ordered', async () => {
    await using bench = await openBench({ [LIST]: { status: 500, text: 'down' } });
    const failure = await failureOf(bench.provider.createPod(request(), OPTIONS));
    expect(failure.code).toBe('provider_unavailable');
    expect(bench.count(CREATE)).toBe(0);
  });
});

describe('when the answer is lost', () => {
  const LOST: readonly [string, StubAnswer][] = [
    ['the connection breaks', { fault: 'drop' }],
    ['half an answer comes', { json: { success: true, new_contract: 7835610 }, fault: 'cut' }],
    ['a gateway fails', { status: 502, text: '<html>Bad Gateway</html>' }],
    ['a gateway times out', { status: 504, text: '' }],
    ['a page comes under a 200', { text: '<html>hello</html>' }],
    ['success comes without a number', { json: { success: true } }],
    ['success comes with nonsense', { json: { success: true, new_contract: 'soon' } }],
    ['an empty body comes', { text: '' }],
  ];
  it.each(LOST)('%s: the pod is found by its label', async (_name, answer) => {
    await using bench = await openBench({
      [CREATE]: answer,
      [LIST]: (_, nth) => (nth === 1 ? page() : page(contractRow({ id: 77, actual_status: null }))),
    });
    const pod = await bench.provider.createPod(request(), OPTIONS);
    expect(pod).toMatchObject({ podId: 'vast:77', status: 'provisioning' });
    expect(bench.count(CREATE)).toBe(1);
  });

  it.each(LOST)(
    '%s: not found twice, the outcome is unknown, and nothing is repeated',
    async (_name, answer) => {
      await using bench = await openBench({ [CREATE]: answer });
      const failure = await failureOf(bench.provider.createPod(request(), OPTIONS));
      expect(failure.code).toBe('outcome_unknown');
      expect(failure.message).toContain('gpl-1');
      expect([bench.count(CREATE), bench.count(LIST)]).toEqual([1, 3]);
    },
  );

  it('a list that lags is looked at again', async () => {
    await using bench = await openBench({
      [CREATE]: { fault: 'drop' },
      [LIST]: (_, nth) => (nth < 3 ? page() : page(contractRow({ id: 77 }))),
    });
    expect((await bench.provider.createPod(request(), OPTIONS)).podId).toBe('vast:77');
  });

  it('a lookup that fails too leaves it unknown', async () => {
    await using bench = await openBench({
      [CREATE]: { fault: 'drop' },
      [LIST]: (_, nth) => (nth === 1 ? page() : { status: 500 }),
    });
    expect((await failureOf(bench.provider.createPod(request(), OPTIONS))).code).toBe(
      'outcome_unknown',
    );
    expect(bench.count(CREATE)).toBe(1);
  });
});

describe('when it is refused', () => {
  it.each<[string, StubAnswer, string]>([
    [
      'no_such_ask with two spaces',
      {
        status: 400,
        json: {
          error: 'invalid_args',
          msg: 'error 404/3603: no_such_ask  Instance type by id 1 is not available.',
          ask_id: 1,
        },
      },
      'offer_gone',
    ],
    [
      'no_such_ask under 404',
      { status: 404, json: { error: 'invalid_args', msg: 'no_such_ask Instance type' } },
      'offer_gone',
    ],
    [
      '410',
      { status: 410, json: { error: 'no_such_ask', msg: 'no longer available', ask_id: 1 } },
      'offer_gone',
    ],
    ['a bare 404', { status: 404, text: 'Not Found' }, 'offer_gone'],
    [
      'a bad key under 404',
      { status: 404, json: { error: 'auth_error', msg: 'Invalid user key' } },
      'auth_rejected',
    ],
    [
      '200 with success:false',
      { json: { success: false, error: 'resources_unavailable', msg: 'x' } },
      'no_capacity',
    ],
    [
      'no money',
      { status: 400, json: { error: 'insufficient_credit', msg: 'x' } },
      'insufficient_credit',
    ],
    [
      'a new account',
      { status: 400, json: { error: 'spend_rate_limit', msg: 'x' } },
      'rate_limited',
    ],
    [
      'a VM without a key',
      { status: 400, json: { error: 'no_ssh_key_for_vm', msg: 'x' } },
      'config_missing',
    ],
    [
      'a host account',
      {
        status: 403,
        json: { error: 'invalid_args', msg: 'Hosts can only rent their own machines.' },
      },
      'unsupported',
    ],
    ['anything else', { status: 400, json: { error: 'invalid_args', msg: 'x' } }, 'invalid_input'],
  ])('%s', async (_name, answer, code) => {
    await using bench = await openBench({ [CREATE]: answer });
    const failure = await failureOf(bench.provider.createPod(request(), OPTIONS));
    expect(failure.code).toBe(code);
    expect(bench.count(CREATE)).toBe(1);
  });

  it('a 429 is waited out, with a look at the list before it is ordered again', async () => {
    await using bench = await openBench({
      [CREATE]: (_, nth) =>
        nth < 3
          ? { status: 429, text: 'API requests too frequent' }
          : { json: { success: true, new_contract: 9 } },
    });
    expect((await bench.provider.createPod(request(), OPTIONS)).podId).toBe('vast:9');
    expect([bench.count(CREATE), bench.count(LIST)]).toEqual([3, 3]);
  });

  it('a 429 that does not end is told with the seconds to wait', async () => {
    await using bench = await openBench({ [CREATE]: { status: 429, text: 'too frequent' } });
    const failure = await failureOf(bench.provider.createPod(request(), OPTIONS));
    expect(failure).toMatchObject({ code: 'rate_limited', retryable: true });
    expect(failure.retryAfterSeconds).toBeGreaterThan(0);
    expect(bench.count(CREATE)).toBe(3);
  });

  it('what a refusal echoes holds neither the key nor a secret of the request', async () => {
    await using bench = await openBench({
      [CREATE]: ({ body, headers }) => ({
        status: 400,
        json: {
          error: 'invalid_args',
          msg: `${JSON.stringify(body).slice(-400)} ${headers['authorization'] ?? ''}`,
        },
      }),
    });
    const failure = await failureOf(
      bench.provider.createPod(
        request({
          env: { HF_TOKEN: 'hf_SECRETSECRETSECRET' },
          registryLogin: { host: 'h', username: 'u', password: 'p4ssw0rd-of-mine' },
        }),
        OPTIONS,
      ),
    );
    const told = `${failure.message} ${failure.foreignText ?? ''} ${String(failure.stack)}`;
    expect(told).toContain('[redacted]');
    for (const secret of [KEY, 'hf_SECRETSECRETSECRET', 'p4ssw0rd-of-mine'])
      expect(told).not.toContain(secret);
  });
});

describe('a failed creation that made a machine (vast.md 16.10)', () => {
  const FAILED: StubAnswer = {
    status: 400,
    json: { success: false, error: 'invalid_price', msg: 'bid too low', new_contract: 42 },
  };

  it.each<[string, StubAnswer]>([
    ['an error status', FAILED],
    ['200 with success:false', { json: { success: false, new_contract: 42 } }],
    ['a number as text', { status: 400, json: { error: 'x', msg: 'y', new_contract: '42' } }],
    ['a 500', { status: 500, json: { error: 'x', msg: 'y', new_contract: 42 } }],
  ])('%s: destroyed, seen gone, no_capacity', async (_name, answer) => {
    await using bench = await openBench({
      [CREATE]: answer,
      [SHOW]: (_, nth) => (nth < 3 ? shown({ id: 42 }) : { json: { instances: null } }),
    });
    const failure = await failureOf(bench.provider.createPod(request(), OPTIONS));
    expect(failure.code).toBe('no_capacity');
    expect(bench.cloud.lines()).toContain('DELETE /api/v0/instances/42/');
    expect(bench.count(SHOW)).toBe(4);
  });

  it('a machine that stays is named in outcome_unknown', async () => {
    await using bench = await openBench({ [CREATE]: FAILED, [SHOW]: shown({ id: 42 }) });
    const failure = await failureOf(bench.provider.createPod(request(), OPTIONS));
    expect(failure.code).toBe('outcome_unknown');
    expect(failure.message).toContain('vast:42');
    expect(failure.hint).toContain('vast:42');
  });

  it('a destruction that fails at first is repeated until it is seen gone', async () => {
    await using bench = await openBench({
      [CREATE]: FAILED,
      [DESTROY]: (_, nth) => (nth < 5 ? { status: 503 } : { json: { success: true } }),
      [SHOW]: (_, nth) => (nth < 2 ? shown({ id: 42 }) : { json: { instances: null } }),
    });
    expect((await failureOf(bench.provider.createPod(request(), OPTIONS))).code).toBe(
      'no_capacity',
    );
    expect(bench.count(DESTROY)).toBeGreaterThanOrEqual(5);
  });

  it('a look that fails is not "gone"', async () => {
    await using bench = await openBench({
      [CREATE]: FAILED,
      [SHOW]: { status: 404, text: 'nope' },
    });
    expect((await failureOf(bench.provider.createPod(request(), OPTIONS))).code).toBe(
      'outcome_unknown',
    );
  });

  it('its new volume is taken back too', async () => {
    const volume = { id: 881, label: 'gl_gpl_1', machine_id: 36683, disk_space: 20, instances: [] };
    await using bench = await openBench({
      [CREATE]: FAILED,
      'POST /api/v0/volumes/search/': {
        json: { offers: [{ id: 333, machine_id: 36683, disk_space: 400, storage_cost: 0.1 }] },
      },
      'GET /api/v0/volumes': (_, nth) => ({ json: { volumes: nth < 3 ? [volume] : [] } }),
      'DELETE /api/v0/volumes/': (_, nth) =>
        nth === 1
          ? { status: 400, json: { error: 'in_use', msg: 'in use' } }
          : { json: { success: true } },
    });
    const failure = await failureOf(
      bench.provider.createPod(request({ volume: { newGb: 20, mountPath: '/data' } }), OPTIONS),
    );
    expect(failure.code).toBe('no_capacity');
    expect(bench.count('DELETE /api/v0/volumes/')).toBeGreaterThanOrEqual(1);
    expect(bench.bodies(CREATE)[0]?.['volume_info']).toEqual({
      create_new: true,
      volume_id: 333,
      size: 20,
      mount_path: '/data',
      name: 'gl_gpl_1',
    });
  });
});

it('an abort ends it within a second at any step, and is no answer about the pod', async () => {
  for (const route of [LIST, SEARCH, CREATE]) {
    const controller = new AbortController();
    await using bench = await openBench({ [route]: { fault: 'stall' } });
    const work = bench.provider.createPod(request(), { signal: controller.signal });
    await expect.poll(() => bench.count(route)).toBe(1);
    const started = performance.now();
    controller.abort(new Error('enough'));
    await expect(work).rejects.toThrow('enough');
    expect(performance.now() - started).toBeLessThan(1000);
  }
});
