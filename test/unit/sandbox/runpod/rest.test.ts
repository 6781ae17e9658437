import { afterEach, describe, expect, it } from 'vitest';
import { type Bench, type Loose, openBench, RTX_4090 } from './bench.ts';

const BODY = {
  name: 'trainer-1',
  image: 'runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404',
  gpu: { id: RTX_4090, count: 1 },
  disk: 40,
  ports: ['22/tcp', '8888/http'],
  mounts: { persistent: { size: 100, path: '/workspace' } },
  startSsh: true,
  env: { A: '1' },
};
const NO_CAPACITY =
  'There are no longer any instances available with the requested specifications. Please refresh and try again.';

describe('REST v2 of the fake RunPod', () => {
  let bench: Bench;
  afterEach(async () => bench[Symbol.asyncDispose]());

  it('makes a pod that the other two APIs see (runpod.md 17.1.1, 17.1.15)', async () => {
    bench = openBench();
    const made = await bench.rest('POST /v2/pods', BODY);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      status: 'PROVISIONING',
      actions: ['stop', 'terminate'],
      env: { A: '1' },
      ports: ['22/tcp', '8888/http'],
      mounts: { persistent: { size: 100, path: '/workspace' } },
      template: null,
      runtime: null,
      cost: 0.69,
    });
    const id = String(made.body['id']);
    expect(await bench.pod(id)).toMatchObject({ env: ['A=1'], ports: '22/tcp,8888/http' });
    expect((await bench.rest(`GET /v1/pods/${id}`)).body).toMatchObject({
      desiredStatus: 'RUNNING',
      imageName: BODY.image,
      portMappings: null,
      publicIp: '',
    });
    expect((await bench.rest(`DELETE /v2/pods/${id}`)).status).toBe(204);
    expect((await bench.rest(`GET /v2/pods/${id}`)).status).toBe(404);
    expect(await bench.pod(id)).toBeNull();
    expect((await bench.rest('GET /v1/pods')).body).toEqual([]);
    const v1 = await bench.rest(`DELETE /v1/pods/${id}`);
    expect([v1.status, v1.body]).toEqual([
      404,
      { error: 'pod not found to terminate', status: 404 },
    ]);
  });

  it.each([
    [{ ...BODY, dataCenterId: 'EU-RO-1' }, "$: additional properties 'dataCenterId' not allowed"],
    [{ ...BODY, name: undefined }, "$: missing property 'name'"],
    [{ ...BODY, gpu: { count: 1 } }, "$.gpu: missing property 'id'"],
    [{ ...BODY, image: undefined }, "$: missing property 'image'"],
    [{ ...BODY, cloud: 'ALL' }, "$.cloud: value must be one of 'SECURE', 'COMMUNITY'"],
  ])('refuses a body that breaks the contract with 422 (runpod.md 3.3) %#', async (body, error) => {
    bench = openBench();
    const { status, body: said, contentType } = await bench.rest('POST /v2/pods', body);
    expect([status, contentType]).toEqual([422, 'application/problem+json']);
    expect(said).toEqual({
      detail: 'Request validation failed.',
      errors: [error],
      status: 422,
      title: 'Unprocessable Entity',
    });
    expect(bench.cloud.pods.size).toBe(0);
  });

  it.each([
    [
      'both kinds of mounts',
      {
        mounts: { persistent: { size: 10, path: '/a' }, network: [{ volumeId: 'v', path: '/b' }] },
      },
      400,
      /mutually exclusive/,
    ],
    ['no gpu and no cpu', { gpu: undefined }, 400, /exactly one/],
    ['no count', { gpu: { id: RTX_4090 } }, 400, NO_CAPACITY],
    ['too many GPUs', { gpu: { id: RTX_4090, count: 64 } }, 400, NO_CAPACITY],
    ['an unknown template', { templateId: 'nobodys' }, 404, /not found/],
  ] as const)('answers %s as the real one (runpod.md 11.3)', async (_, change, status, detail) => {
    bench = openBench();
    const made = await bench.rest('POST /v2/pods', { ...BODY, ...change });
    expect(made.status).toBe(status);
    expect(made.body['detail']).toEqual(
      typeof detail === 'string' ? detail : expect.stringMatching(detail),
    );
  });

  it('answers every kind of key (runpod.md 2.2)', async () => {
    bench = openBench();
    const none = await bench.rest('GET /v2/pods', undefined, { key: null });
    expect([none.status, none.body['detail']]).toEqual([401, 'missing bearer token']);
    expect((await bench.rest('GET /v2/pods', undefined, { key: 'rpa_WRONG' })).status).toBe(401);
    const read = bench.cloud.addApiKey({ graphql: 'none', rest: 'read' });
    expect((await bench.rest('GET /v2/pods', undefined, { key: read })).status).toBe(200);
    const write = await bench.rest('POST /v2/pods', BODY, { key: read });
    expect([write.status, write.body['detail']]).toEqual([403, 'access denied']);
    const id = await bench.create();
    const own = bench.cloud.pods.get(id)?.apiKey ?? '';
    expect((await bench.rest(`DELETE /v2/pods/${id}`, undefined, { key: own })).status).toBe(403);
    expect((await bench.rest(`POST /v1/pods/${id}/stop`, undefined, { key: own })).status).toBe(
      403,
    );
    // The size is looked at before the key.
    const long = { ...BODY, env: { A: 'x'.repeat(110_000) } };
    expect((await bench.rest('POST /v2/pods', long, { key: null })).status).toBe(413);
  });

  it('counts the calls of a key in its headers and refuses more (runpod.md 2.4)', async () => {
    bench = openBench({
      options: { rateLimits: true, ratePolicy: { minute: 2, hour: 9, day: 99 } },
    });
    const first = await bench.rest('GET /v2/pods');
    expect(first.headers).toMatchObject({
      RateLimit: '"minute";r=1;t=60, "hour";r=8;t=3600, "day";r=98;t=86400',
      'RateLimit-Policy': '"minute";q=2;w=60, "hour";q=9;w=3600, "day";q=99;w=86400',
      'x-request-id': expect.stringMatching(/^req_[0-9a-f-]{36}$/) as unknown,
    });
    await bench.rest('GET /v2/pods');
    await bench.clock.advance(20);
    const over = await bench.rest('GET /v2/pods');
    expect(over.status).toBe(429);
    expect(over.headers?.['Retry-After']).toBe('40');
    expect(over.body).toEqual({
      detail: 'rate limit exceeded for the minute window',
      status: 429,
      title: 'Too Many Requests',
    });
    await bench.clock.advance(41);
    expect((await bench.rest('GET /v2/pods')).status).toBe(200);
  });

  it('lists in pages, newest first (runpod.md 11.2)', async () => {
    bench = openBench();
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1) {
      ids.unshift(await bench.create());
      await bench.clock.advance(1);
    }
    const seen: unknown[] = [];
    let cursor = '';
    for (let page = 0; page < 9; page += 1) {
      const { body } = await bench.rest(`GET /v2/pods?limit=2${cursor}`);
      seen.push(...(body['pods'] as Loose[]).map(({ id }) => id));
      const { nextCursor, hasNextPage } = body['pagination'] as Loose;
      if (hasNextPage !== true) break;
      cursor = `&cursor=${String(nextCursor)}`;
    }
    expect(seen).toEqual(ids);
    expect((await bench.rest('GET /v2/pods?limit=0')).status).toBe(422);
  });

  it('takes only the actions of a status (runpod.md 11.4)', async () => {
    bench = openBench();
    const id = await bench.create();
    const act = async (action: string) =>
      (await bench.rest(`POST /v2/pods/${id}/action`, { action })).status;
    expect([await act('start'), await act('restart'), await act('reset')]).toEqual([409, 409, 422]);
    await bench.clock.advance(70);
    expect([await act('restart'), await act('stop'), await act('stop')]).toEqual([200, 200, 409]);
    expect([await act('start'), await act('terminate')]).toEqual([200, 204]);
    expect((await bench.rest(`GET /v2/nothing`)).body['detail']).toBe(
      'The requested path was not found.',
    );
    const method = await bench.rest(`DELETE /v2/pods`);
    expect([method.status, method.headers?.['Allow']]).toEqual([405, 'GET, POST']);
  });

  it('tells stock only to who says for which product (runpod.md 11.8)', async () => {
    bench = openBench();
    const status = async (query: string) =>
      (await bench.rest(`GET /v2/catalog/gpus${query}`)).status;
    expect(await status('?include=AVAILABILITY')).toBe(400);
    expect(await status('?count=1')).toBe(400);
    expect(await status('?include=AVAILABILITY&product=NOPE')).toBe(422);
    expect(await status('?include=AVAILABILITY&product=POD&countryCodes=US&countryCodes=DE')).toBe(
      422,
    );
    const { body } = await bench.rest(
      `GET /v2/catalog/gpus/${encodeURIComponent(RTX_4090)}?include=AVAILABILITY&product=POD&count=1&cloud=SECURE`,
    );
    expect(body).toMatchObject({ id: RTX_4090, price: { secure: 0.69, community: 0.34 } });
    expect(body['dataCenters']).toContainEqual(
      expect.objectContaining({
        id: 'US-KS-2',
        availability: expect.stringMatching(/LOW|MEDIUM|HIGH/) as unknown,
      }),
    );
    expect(await status('/nothing')).toBe(404);
  });

  it('binds a network volume to its data center and the secure cloud (runpod.md 8)', async () => {
    bench = openBench();
    const nowhere = await bench.rest('POST /v2/network-volumes', {
      name: 'a',
      size: 10,
      dataCenter: 'US-TX-1',
    });
    expect([nowhere.status, nowhere.body['detail']]).toEqual([
      400,
      expect.stringContaining('US-KS-2'),
    ]);
    const made = await bench.rest('POST /v2/network-volumes', {
      name: 'a',
      size: 100,
      dataCenter: 'US-KS-2',
    });
    expect(made.status).toBe(201);
    const volumeId = made.body['id'];
    const mounts = { network: [{ volumeId, path: '/workspace' }] };
    const community = await bench.rest('POST /v2/pods', { ...BODY, mounts, cloud: 'COMMUNITY' });
    expect(community.status).toBe(500);
    const elsewhere = await bench.rest('POST /v2/pods', {
      ...BODY,
      mounts,
      dataCenterIds: ['EU-RO-1'],
    });
    expect([elsewhere.status, elsewhere.body['detail']]).toEqual([400, NO_CAPACITY]);
    const pod = await bench.rest('POST /v2/pods', { ...BODY, mounts });
    expect(pod.body).toMatchObject({ dataCenterId: 'US-KS-2', mounts });
    expect(
      (await bench.rest(`PATCH /v2/network-volumes/${String(volumeId)}`, { size: 50 })).status,
    ).toBe(400);
    expect((await bench.rest(`DELETE /v2/network-volumes/${String(volumeId)}`)).status).toBe(400);
    await bench.rest(`DELETE /v2/pods/${String(pod.body['id'])}`);
    await bench.clock.advance(3_600);
    // It outlives its pod and is billed on.
    expect(bench.booked(String(volumeId))).toMatchObject({ billing: true });
    expect((await bench.rest(`DELETE /v2/network-volumes/${String(volumeId)}`)).status).toBe(204);
    expect(bench.booked(String(volumeId))).toMatchObject({ billing: false });
    const v1 = await bench.rest('POST /v1/networkvolumes', {
      name: 'b',
      size: 10,
      dataCenterId: 'US-TX-1',
    });
    expect([v1.status, v1.body['error']]).toEqual([
      500,
      'create network volume: Failed to find data center, please try again.',
    ]);
  });

  it('shares the account keys between block and list (runpod.md 5.3, 17.1.13)', async () => {
    bench = openBench();
    const keys = ['ssh-ed25519 AAAA a', 'ssh-rsa BBBB b c'];
    expect((await bench.rest('PUT /v2/account/ssh-keys', { keys })).body).toEqual({ keys });
    expect((await bench.graphql('{ myself { pubKey } }')).data).toEqual({
      myself: { pubKey: keys.join('\n\n') },
    });
    expect((await bench.rest('PUT /v2/account/ssh-keys', { keys: ['nonsense'] })).status).toBe(422);
    expect((await bench.rest('GET /v2/account/ssh-keys')).body).toEqual({ keys });
  });
});

describe('secrets of the account', () => {
  it('is told without its value, once for each name (runpod.md 11.1)', async () => {
    await using bench = openBench();
    const made = await bench.rest('POST /v2/account/secrets', { name: 'TOKEN', value: 'hush' });
    expect(made.status).toBe(201);
    const [secret] = (await bench.rest('GET /v2/account/secrets?name=token')).body[
      'secrets'
    ] as Loose[];
    expect(secret).toEqual(made.body);
    expect(JSON.stringify(secret)).not.toContain('hush');
    const again = await bench.rest('POST /v2/account/secrets', { name: 'TOKEN', value: 'x' });
    expect(again.status).toBe(409);
    const reserved = { name: 'RUNPOD_X', value: 'x' };
    expect((await bench.rest('POST /v2/account/secrets', reserved)).status).toBe(422);
    await bench.clock.advance(60);
    const changed = await bench.rest(`PATCH /v2/account/secrets/${String(secret?.['id'])}`, {
      value: 'new',
    });
    expect(changed.body['createdAt']).toBe(secret?.['createdAt']);
    expect(changed.body['valueLastUpdatedAt']).not.toBe(secret?.['valueLastUpdatedAt']);
  });
});

describe('REST v1 of the fake RunPod', () => {
  let bench: Bench;
  afterEach(async () => bench[Symbol.asyncDispose]());
  const body = { name: 'one', imageName: 'runpod/base:1', gpuTypeIds: [RTX_4090], gpuCount: 1 };

  it('answers 500 for capacity, 400 for keys that it does not know, and bare arrays (runpod.md 3.2)', async () => {
    bench = openBench();
    const none = await bench.rest('POST /v1/pods', { ...body, gpuCount: 99 });
    expect([none.status, none.body]).toEqual([
      500,
      { error: `create pod: ${NO_CAPACITY}`, status: 500 },
    ]);
    expect((await bench.rest('POST /v1/pods', { ...body, dockerArgs: 'x' })).status).toBe(400);
    expect(
      (await bench.rest('POST /v1/pods', { ...body, gpuTypeIds: ['NVIDIA B300 SXM6 AC'] })).status,
    ).toBe(400);
    expect(
      (await bench.rest('POST /v1/pods', { ...body, dataCenterIds: ['US-MO-1'] })).status,
    ).toBe(400);
    const made = await bench.rest('POST /v1/pods', body);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ volumeInGb: 20, ports: ['8888/http', '22/tcp'] });
    expect((await bench.rest('GET /v1/pods')).body).toHaveLength(1);
    expect((await bench.rest('GET /v1/pods?name=other')).body).toEqual([]);
  });

  it('makes a pod and answers 500 all the same (runpod.md 2.5)', async () => {
    bench = openBench({ faults: [{ kind: 'done-but-500', route: 'POST /v1/pods', times: 1 }] });
    const lost = await bench.rest('POST /v1/pods', body);
    expect(lost.status).toBe(500);
    expect((await bench.rest('GET /v1/pods?name=one')).body).toHaveLength(1);
  });

  it.each([
    ['gone', 410],
    ['missing', 404],
  ] as const)('can be withdrawn as a whole: %s', async (restV1, status) => {
    bench = openBench({ options: { restV1 } });
    expect((await bench.rest('GET /v1/pods')).status).toBe(status);
    expect((await bench.rest('GET /v2/pods')).status).toBe(200);
    bench.cloud.setApi('v2', restV1);
    bench.cloud.setApi('graphql', restV1);
    expect((await bench.rest('GET /v2/pods')).status).toBe(status);
    expect((await bench.graphql('{ myself { id } }')).status).toBe(status);
  });
});

describe('the wire of the fake RunPod', () => {
  let bench: Bench;
  afterEach(async () => bench[Symbol.asyncDispose]());

  it.each([
    ['rate-limit', 'GET /v2/pods', 429, 'application/problem+json'],
    ['rate-limit', 'GET /v1/pods', 429, 'text/html; charset=UTF-8'],
    ['http-500', 'GET /v2/pods', 500, 'application/problem+json'],
    ['http-502', 'GET /v2/pods', 502, 'text/html; charset=UTF-8'],
    ['http-503', 'GET /v2/pods', 503, undefined],
    ['html-403', 'GET /v1/pods', 403, 'text/html; charset=UTF-8'],
    ['html', 'GET /v2/pods', 200, 'text/html; charset=UTF-8'],
    ['truncated', 'GET /v2/pods', 200, 'application/json'],
    ['api-gone', 'GET /v2/pods', 410, 'application/problem+json'],
    ['api-missing', 'GET /v1/pods', 404, undefined],
  ])('%s strikes %s once', async (kind, line, status, contentType) => {
    bench = openBench({ faults: [{ kind, times: 1 }] });
    const struck = await bench.rest(line);
    expect([struck.status, struck.contentType]).toEqual([status, contentType]);
    expect((await bench.rest(line)).status).toBe(200);
  });

  it.each([
    ['drop-before', 'drop', 0],
    ['drop-after', 'drop', 1],
    ['stall', 'stall', 1],
    ['slow', undefined, 1],
  ] as const)('%s of a create leaves what it leaves', async (kind, fault, pods) => {
    bench = openBench({ faults: [{ kind, route: 'podFindAndDeployOnDemand', times: 1 }] });
    const made = await bench.rest('POST /graphql', {
      query: `mutation { podFindAndDeployOnDemand(input: { cloudType: SECURE, gpuTypeId: "${RTX_4090}", gpuCount: 1, imageName: "runpod/base:1" }) { id } }`,
    });
    expect(made.fault).toBe(fault);
    expect(made.delaySeconds).toBe(kind === 'slow' ? 20 : undefined);
    expect(bench.cloud.pods.size).toBe(pods);
  });

  it('names cloud and data center in the faults of an order', async () => {
    bench = openBench({
      faults: [
        { kind: 'no-capacity', route: 'COMMUNITY' },
        { kind: 'no-runtime', route: 'EU-RO-1' },
        { kind: 'exits', offerId: 'NVIDIA A40' },
      ],
    });
    const faultsOf = async (input: Loose) => [
      ...(bench.cloud.pods.get(await bench.create(input))?.faults.keys() ?? []),
    ];
    expect(await faultsOf({ dataCenterId: 'EU-RO-1' })).toEqual(['no-runtime']);
    expect(await faultsOf({ dataCenterId: 'US-KS-2' })).toEqual([]);
    expect(await faultsOf({ gpuTypeId: 'NVIDIA A40' })).toEqual(['exits']);
    await expect(bench.create({ cloudType: 'COMMUNITY' })).rejects.toThrow(/SUPPLY_CONSTRAINT/);
    await expect(bench.create()).resolves.toMatch(/^[a-z0-9]{14}$/);
  });
});

describe('the logs of a pod', () => {
  let bench: Bench;
  afterEach(async () => bench[Symbol.asyncDispose]());
  const read = async (
    stream: AsyncIterable<string> | undefined,
    parts: number,
  ): Promise<string> => {
    const iterator = stream?.[Symbol.asyncIterator]();
    let text = '';
    for (let index = 0; index < parts; index += 1) {
      const part = iterator?.next();
      await bench.clock.advance(1);
      text += String((await part)?.value ?? '');
    }
    await iterator?.return?.();
    return text;
  };
  const lines = (text: string): Loose[] =>
    [...text.matchAll(/^data: (.*)$/gm)].map(([, json = '']) => JSON.parse(json) as Loose);

  it('tell in the system log alone why an image does not come (runpod.md 12, 4.7)', async () => {
    bench = openBench({ faults: [{ kind: 'image-not-found' }] });
    const id = await bench.create();
    await bench.clock.advance(200);
    expect(await bench.pod(id)).toMatchObject({ desiredStatus: 'RUNNING', runtime: null });
    const answer = await bench.rest(`GET /v2/pods/${id}/logs?source=system&tail=2`);
    expect(answer.contentType).toBe('text/event-stream');
    const text = await read(answer.stream, 4);
    expect(lines(text)).toHaveLength(2);
    expect(lines(text)[0]).toMatchObject({
      source: 'system',
      line: expect.stringContaining('manifest unknown') as unknown,
    });
    // It goes on after the last one that somebody has.
    const [lastId = ''] = [...text.matchAll(/^id: (.*)$/gm)].map(([, eventId = '']) => eventId);
    const again = await bench.cloud.handle({
      method: 'GET',
      path: `/v2/pods/${id}/logs`,
      query: new URLSearchParams(),
      headers: { authorization: `Bearer ${bench.cloud.options.apiKey}`, 'last-event-id': lastId },
      body: undefined,
      rawBody: '',
    });
    expect(lines(await read(again.stream, 3))).toHaveLength(1);
    expect((await bench.rest(`GET /v2/pods/${id}/logs?tail=5001`)).status).toBe(422);
    expect((await bench.rest('GET /v2/pods/nothing/logs')).status).toBe(404);
  });
});
