import { describe, expect, it } from 'vitest';
import { type Deviation, openApiOf } from '../../../support/openapi.ts';
import { type Bench, type Loose, openBench, START } from './bench.ts';

/** Where the description is known to be wrong. */
const DEVIATIONS: readonly Deviation[] = [
  { where: 'POST /api/v0/bundles request', at: '/type', keyword: 'enum', source: 'vast.md 3.3' },
  { where: 'POST /api/v0/bundles request', at: '/order', source: 'vast.md 3.3' },
  { where: 'GET /api/v0/instances/{id} 200', at: '/instances/extra_env', source: 'vast.md 5.3' },
  { where: 'GET /api/v0/instances/{id} 200', at: '/instances/ports', source: 'vast.md 5.3' },
  { where: 'GET /api/v1/instances 200', at: '/instances/0/onstart', source: 'vast.md 5.3' },
];
const api = openApiOf('vast-openapi.yaml', DEVIATIONS);

/** Asks, and answers the complaints of the published description about the call. */
async function checked(bench: Bench, line: string, body?: unknown): Promise<readonly string[]> {
  const [method = 'GET', url = '/'] = line.split(' ');
  const answer = await bench.raw(line, body);
  return (
    api?.check({
      method,
      url,
      requestHeaders: {},
      requestBody: body === undefined ? '' : JSON.stringify(body),
      status: answer.status,
      responseHeaders: {},
      responseBody: answer.body === undefined ? (answer.text ?? '') : JSON.stringify(answer.body),
    }) ?? []
  );
}

describe.runIf(api !== undefined)('answers are what the published description says', () => {
  it('in every flow', async () => {
    await using bench = openBench();
    const all: string[] = [];
    const call = async (line: string, body?: unknown): Promise<void> => {
      all.push(...(await checked(bench, line, body)));
    };
    await call('POST /api/v0/bundles', {
      num_gpus: { eq: 1 },
      order: [['dph_total', 'asc']],
      type: 'on-demand',
      limit: 5,
    });
    await call('POST /api/v0/bundles', { num_gpus: { least: 1 } });
    const id = await bench.create({ env: { A: '1' } });
    await call(`GET /api/v0/instances/${id}`);
    await bench.advance(61);
    await call(`GET /api/v0/instances/${id}`);
    await call('GET /api/v1/instances');
    await call('GET /api/v1/instances?after_token=x');
    await call('PUT /api/v0/asks/1', { image: 'a', disk: 8, runtype: 'ssh_direct', label: 'x' });
    await call(`PUT /api/v0/asks/${await bench.cheapest()}`, {
      image: 'a',
      disk: 8,
      runtype: 'ssh_direct',
      label: 'x',
      target_state: 'running',
      cancel_unavail: true,
    });
    await call(`PUT /api/v0/instances/${id}`, { label: 'y' });
    await call(`PUT /api/v0/instances/${id}`, { state: 'stopped' });
    await call('PUT /api/v0/instances/9', { state: 'stopped' });
    await call(`PUT /api/v0/instances/bid_price/${id}`, { client_id: 'me', price: 0.2 });
    await call('PUT /api/v0/instances/bid_price/9', { client_id: 'me', price: 0.2 });
    await call(`PUT /api/v0/instances/reboot/${id}`, {});
    await call(`PUT /api/v0/instances/recycle/${id}`, {});
    await call(`PUT /api/v0/instances/request_logs/${id}`, { tail: '5' });
    await call('PUT /api/v0/instances/request_logs/9', { tail: '5' });
    await call(`PUT /api/v0/instances/command/${id}`, { command: 'ls' });
    await call(`PUT /api/v0/instances/command/${id}`, { command: 'cat' });
    await call(`PUT /api/v0/instances/prepay/${id}`, { amount: 1 });
    await call('PUT /api/v0/instances/prepay/9', { amount: 1 });
    await call(`GET /api/v0/instances/balance/${id}`);
    await call('POST /api/v0/ssh', { ssh_key: 'ssh-ed25519 AAAA x' });
    await call('POST /api/v0/ssh', { ssh_key: ' ' });
    await call('GET /api/v0/ssh');
    await call(`POST /api/v0/instances/${id}/ssh`, { ssh_key: 'ssh-ed25519 BBBB x' });
    await call(`GET /api/v0/instances/${id}/ssh`);
    await call(`DELETE /api/v0/instances/${id}/ssh/1`, {});
    await call('GET /api/v0/template?select_cols=["*"]&select_filters={}');
    await call('POST /api/v0/template', { name: 'n', image: 'i' });
    await call('POST /api/v0/volumes/search', { limit: 5 });
    const { offers } = await bench.json('POST /api/v0/volumes/search/', {});
    await call('PUT /api/v0/volumes', { id: (offers as Loose[])[0]?.['id'], size: 5, name: 'v' });
    await call('GET /api/v0/volumes');
    await call('DELETE /api/v0/volumes', { id: 9 });
    await call('GET /api/v0/users/current');
    await call('GET /api/v0/auth/apikeys');
    await call('POST /api/v0/auth/apikeys', { name: 'k', permissions: { api: { misc: {} } } });
    await call('GET /api/v0/secrets');
    await call('POST /api/v0/secrets', { key: 'A', value: 'b' });
    await call('DELETE /api/v0/secrets', { key: 'A' });
    await call(
      `GET /api/v0/charges?select_filters={"day":{"gte":${START},"lte":${START + 1_000}}}`,
    );
    await call('GET /api/v0/charges?select_filters={}');
    await call(`DELETE /api/v0/instances/${id}`, {});
    await call('DELETE /api/v0/instances/9', {});
    expect(all).toEqual([]);
    expect(DEVIATIONS.filter((deviation) => api?.used.has(deviation) === false)).toEqual([]);
  });
});
