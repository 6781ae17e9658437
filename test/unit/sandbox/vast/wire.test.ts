import { describe, expect, it } from 'vitest';
import { serveClouds } from '../../../../src/sandbox/http.ts';
import { createRequestLog } from '../../../../src/sandbox/request-log.ts';
import { ROUTES } from '../../../../src/sandbox/vast/routes.ts';
import { type Bench, openBench } from './bench.ts';

async function overHttp<T>(bench: Bench, work: (url: string) => Promise<T>): Promise<T> {
  await using served = await serveClouds([bench.cloud], {
    port: 0,
    log: createRequestLog(bench.clock),
    clock: bench.clock,
  });
  return await work(served.urlOf('vast'));
}
const bearer = { authorization: 'Bearer vast-sandbox-key' };

describe('the wire', () => {
  it('says exactly application/json (vast.md 17.1)', async () => {
    await using bench = openBench();
    await overHttp(bench, async (url) => {
      const answer = await fetch(`${url}/api/v0/bundles/`, { method: 'POST', body: '{}' });
      expect(answer.headers.get('content-type')).toBe('application/json');
    });
  });

  it('takes paths with and without a slash, both versions, a body on DELETE and unknown words (vast.md 17.2, 16.22)', async () => {
    await using bench = openBench();
    for (const path of ['/api/v0/ssh', '/api/v0/ssh/', '/api/v1/ssh/', '/api/v0//ssh/?owner=me'])
      expect(await bench.json(`GET ${path}`), path).toEqual([]);
    const id = await bench.create({ unheard_of: { of: 1 } });
    expect(await bench.json(`GET /api/v0/instances/${id}?owner=me&nonsense=1`)).toMatchObject({
      instances: { id },
    });
    expect(await bench.json(`DELETE /api/v0/instances/${id}/`, {})).toEqual({ success: true });
  });

  it('tells the GPU names to anybody (vast.md 17.3)', async () => {
    await using bench = openBench();
    const { status, body } = await bench.raw('GET /api/v0/gpu_names/unique/', undefined, {
      key: null,
    });
    expect(status).toBe(200);
    expect((body as { gpu_names: string[] }).gpu_names).toContain('RTX 4090');
  });

  it('answers 403 without a key and 404 with a wrong one (vast.md 17.4, 16.2)', async () => {
    await using bench = openBench();
    expect(await bench.raw('GET /api/v1/instances/', undefined, { key: null })).toMatchObject({
      status: 403,
      body: { success: false, error: 'auth_error', msg: 'This action requires login.' },
    });
    expect(await bench.raw('GET /api/v1/instances/', undefined, { key: 'wrong' })).toMatchObject({
      status: 404,
      body: { success: false, error: 'auth_error', msg: 'Invalid user key' },
    });
    expect(await bench.raw('GET /api/v0/volumes', undefined, { key: null })).toMatchObject({
      status: 401,
      body: { detail: 'Authentication credentials were not provided.' },
    });
    expect(await bench.raw('POST /api/v0/bundles/', {}, { key: null })).toMatchObject({
      status: 200,
    });
    expect(await bench.raw('POST /api/v0/bundles/', {}, { key: 'wrong' })).toMatchObject({
      status: 404,
    });
    expect(
      await bench.raw('GET /api/v0/users/current?api_key=vast-sandbox-key', undefined, {
        key: null,
      }),
    ).toMatchObject({ status: 200 });
    await using other = openBench({ options: { badKeyStatus: 401 } });
    expect(await other.raw('GET /api/v0/ssh/', undefined, { key: 'wrong' })).toMatchObject({
      status: 401,
    });
  });

  it('says 410 to the list of old and keeps the bulk calls on its path (vast.md 17.13, 16.1)', async () => {
    await using bench = openBench();
    expect(await bench.raw('GET /api/v0/instances/')).toEqual({
      status: 410,
      body: {
        success: false,
        error: 'deprecated_endpoint',
        msg: '/api/v0/instances/ is deprecated. Use /api/v1/instances/ instead.',
      },
    });
    const ids = [await bench.create(), await bench.create({ label: 'job-2' })];
    await bench.advance(61);
    expect(await bench.json('PUT /api/v0/instances/', { state: 'stopped', ids })).toEqual({
      success: true,
    });
    await bench.advance(5);
    for (const id of ids)
      expect(await bench.show(id)).toMatchObject({
        intended_status: 'stopped',
        actual_status: 'exited',
      });
    expect(await bench.json('DELETE /api/v0/instances/', { instance_ids: ids })).toEqual({
      success: true,
    });
    for (const id of ids) expect(await bench.show(id)).toBeNull();
    // The tool repeats it; what is gone stays gone.
    expect(await bench.json('DELETE /api/v0/instances/', { instance_ids: ids })).toEqual({
      success: true,
    });
  });

  it('tells nothing of an unknown instance with 200 and null (vast.md 17.14, 16.2)', async () => {
    await using bench = openBench();
    expect(await bench.raw('GET /api/v0/instances/99/')).toEqual({
      status: 200,
      body: { instances: null },
    });
  });

  it('can hold callers to the least time between calls, in text or JSON, never with Retry-After (vast.md 17.16, 16.3)', async () => {
    await using bench = openBench({ options: { rateLimits: true } });
    expect((await bench.raw('GET /api/v1/instances/')).status).toBe(200);
    const second = await bench.raw('GET /api/v1/instances/');
    expect(second).toMatchObject({
      status: 429,
      text: 'API requests too frequent: endpoint threshold=1.0',
    });
    expect(second.headers).toBeUndefined();
    await bench.advance(1.1);
    expect((await bench.raw('GET /api/v1/instances/')).status).toBe(200);
    await using json = openBench({ options: { rateLimits: true, rateLimitBody: 'json' } });
    await json.raw('DELETE /api/v0/instances/1/', {});
    expect(await json.raw('DELETE /api/v0/instances/1/', {})).toMatchObject({
      status: 429,
      body: {
        success: false,
        error: 'rate_limit_exceeded',
        msg: 'API requests too frequent endpoint threshold=3.0',
      },
    });
    await json.raw('GET /api/v0/secrets/');
    expect(await json.raw('GET /api/v0/secrets/')).toMatchObject({
      status: 429,
      body: { detail: 'API requests too frequent endpoint threshold=5.0' },
    });
    await using off = openBench();
    for (let index = 0; index < 5; index += 1)
      expect((await off.raw('GET /api/v1/instances/')).status).toBe(200);
  });

  it('refuses what is no JSON and what is no route', async () => {
    await using bench = openBench();
    expect(await bench.raw('POST /api/v0/bundles/', undefined, { rawBody: '{"gpu' })).toMatchObject(
      { status: 400, body: { error: 'invalid_request', msg: 'Invalid json body' } },
    );
    expect(await bench.raw('GET /api/v0/nothing/here/')).toMatchObject({ status: 404 });
    const paths = ROUTES.map(({ method, path }) => `${method} ${path}`);
    expect(new Set(paths).size).toBe(paths.length);
  });
});

describe('faults of the wire', () => {
  const failing = (kind: string) =>
    openBench({ faults: [{ kind, route: 'GET /api/v1', times: 1 }] });

  it.each([
    ['rate-limit', { status: 429, text: 'API requests too frequent: endpoint threshold=4.5' }],
    [
      'rate-limit-json',
      { status: 429, body: { detail: 'API requests too frequent endpoint threshold=4.5' } },
    ],
    ['http-500', { status: 500, body: { success: false } }],
    ['http-502', { status: 502, contentType: 'text/html' }],
    ['http-503', { status: 503, text: 'Service Temporarily Unavailable' }],
    ['http-504', { status: 504, text: '' }],
    ['html', { status: 200, contentType: 'text/html' }],
    ['success-false', { status: 200, body: { success: false } }],
    ['drop-before', { fault: 'drop' }],
    ['stall', { fault: 'stall' }],
    ['slow', { status: 200, delaySeconds: 20 }],
    ['truncated', { status: 200, contentType: 'application/json' }],
  ])('%s strikes once and where it is told (vast.md 17.20)', async (kind, expected) => {
    await using bench = failing(kind);
    expect((await bench.raw('GET /api/v0/ssh/')).status).toBe(200);
    expect(await bench.raw('GET /api/v1/instances/')).toMatchObject(expected);
    expect(await bench.raw('GET /api/v1/instances/')).toMatchObject({
      status: 200,
      body: { success: true },
    });
  });

  it('the work is done when the answer is lost, and not done when the request is (vast.md 17.20, 1.5)', async () => {
    await using bench = openBench({
      faults: [
        { kind: 'drop-before', route: 'PUT /api/v0/asks', times: 1 },
        { kind: 'drop-after', route: 'PUT /api/v0/asks', times: 1 },
      ],
    });
    await overHttp(bench, async (url) => {
      const offer = await bench.cheapest();
      const create = async () =>
        fetch(`${url}/api/v0/asks/${offer}/`, {
          method: 'PUT',
          headers: { ...bearer, 'content-type': 'application/json' },
          body: JSON.stringify({ image: 'a', disk: 8, label: 'lost' }),
        });
      await expect(create()).rejects.toThrow();
      expect(bench.cloud.books()).toEqual([]);
      await expect(create()).rejects.toThrow();
      expect(bench.cloud.books()).toMatchObject([{ label: 'lost', billing: true }]);
      const again = await create();
      expect(again.status).toBe(400);
      expect(await again.text()).toContain('no_such_ask');
    });
  });

  it('a cut answer is no JSON', async () => {
    await using bench = failing('truncated');
    const { text } = await bench.raw('GET /api/v1/instances/');
    expect(() => JSON.parse(text ?? '') as unknown).toThrow();
  });
});
