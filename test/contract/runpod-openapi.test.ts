import { describe, expect, it } from 'vitest';
import { type Deviation, type OpenApi, openApiOf } from '../support/openapi.ts';
import { type Bench, type Loose, openBench, RTX_4090 } from '../unit/sandbox/runpod/bench.ts';

/** Where the descriptions are known to be wrong or old. Each one has to explain something: a stale one fails. */
const V2_DEVIATIONS: readonly Deviation[] = [];
const V1_DEVIATIONS: readonly Deviation[] = [
  ...['POST /pods 201', 'GET /pods/{podId} 200', 'PATCH /pods/{podId} 200'].map((where) => ({
    where,
    at: '/templateId',
    source: 'runpod.md 10',
  })),
  { where: 'GET /pods 200', at: '/0/templateId', source: 'runpod.md 10' },
];
const v2 = openApiOf('runpod-rest-v2-openapi.json', V2_DEVIATIONS);
const v1 = openApiOf('runpod-rest-v1-openapi.json', V1_DEVIATIONS);

/** Asks, and gathers what the description complains about. */
function recorder(bench: Bench, api: OpenApi | undefined, base: string) {
  const complaints: string[] = [];
  const unknown: string[] = [];
  const call = async (line: string, body?: unknown): Promise<Loose> => {
    const [method = 'GET', url = '/'] = line.split(' ');
    const answer = await bench.rest(`${method} ${base}${url}`, body);
    const sent: unknown = answer.body;
    const text = sent === undefined ? (answer.text ?? '') : JSON.stringify(sent);
    const found = api?.check({
      method,
      url: base === '/v1' ? url : `${base}${url}`,
      requestHeaders: {},
      requestBody: body === undefined ? '' : JSON.stringify(body),
      status: answer.status,
      responseHeaders: {},
      responseBody: text,
    });
    if (found === undefined) unknown.push(line);
    else complaints.push(...found);
    return answer.body;
  };
  return { call, complaints, unknown };
}
const IMAGE = 'runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404';
const stale = (api: OpenApi | undefined, deviations: readonly Deviation[]): readonly Deviation[] =>
  deviations.filter((deviation) => api?.used.has(deviation) === false);

describe.runIf(v2 !== undefined)('REST v2 answers what its description says', () => {
  it('in every flow', async () => {
    await using bench = openBench();
    const { call, complaints, unknown } = recorder(bench, v2, '/v2');
    await call('PUT /account/ssh-keys', { keys: ['ssh-ed25519 AAAA a'] });
    await call('GET /account/ssh-keys');
    const volume = await call('POST /network-volumes', {
      name: 'data',
      size: 50,
      dataCenter: 'US-KS-2',
    });
    const volumeId = String(volume['id']);
    await call('GET /network-volumes');
    await call(`GET /network-volumes/${volumeId}`);
    await call(`PATCH /network-volumes/${volumeId}`, { size: 60 });
    const template = await call('POST /templates', {
      name: 'mine',
      image: IMAGE,
      ports: ['22/tcp'],
      env: { A: '1' },
      mounts: { persistent: { size: 20, path: '/workspace' } },
    });
    const templateId = String(template['id']);
    await call('GET /templates');
    await call(`GET /templates/${templateId}`);
    await call(`PATCH /templates/${templateId}`, { disk: 30 });
    const registry = await call('POST /registries', { name: 'r', username: 'u', password: 'p' });
    await call('GET /registries');
    await call(`GET /registries/${String(registry['id'])}`);
    await call(`DELETE /registries/${String(registry['id'])}`);

    const gpu = { id: RTX_4090, count: 1 };
    const plain = await call('POST /pods', {
      name: 'plain',
      image: IMAGE,
      gpu,
      ports: ['22/tcp', '8888/http'],
      env: { B: '2' },
      disk: 40,
      startSsh: true,
      globalNetworking: true,
    });
    await call('POST /pods', { name: 'from', templateId, gpu, dataCenterIds: ['US-KS-2'] });
    await call('POST /pods', {
      name: 'bound',
      image: IMAGE,
      gpu: { ...gpu, minCudaVersion: '12.0' },
      mounts: { network: [{ volumeId, path: '/workspace' }] },
    });
    await call('POST /pods', { name: 'much', image: IMAGE, gpu: { ...gpu, count: 64 } });
    const id = String(plain['id']);
    await call('GET /pods');
    await call(`GET /pods/${id}`);
    await bench.clock.advance(70);
    const running = await call(`GET /pods/${id}`);
    expect(running['status']).toBe('RUNNING');
    await call(`PATCH /pods/${id}`, { name: 'other', locked: false });
    for (const action of ['restart', 'stop', 'start', 'terminate'])
      await call(`POST /pods/${id}/action`, { action }).then(async () => bench.clock.advance(70));
    await call(`GET /pods/${id}`);
    await call(`DELETE /pods/${id}`);
    await call(`DELETE /templates/${templateId}`);

    await call('GET /catalog/gpus');
    await call('GET /catalog/gpus?include=AVAILABILITY&product=POD&count=1&cloud=SECURE');
    await call(`GET /catalog/gpus/${encodeURIComponent(RTX_4090)}`);
    await call('GET /catalog/gpus/nothing');
    await call('GET /catalog/datacenters?include=GPU_AVAILABILITY');
    await call('GET /catalog/datacenters/US-KS-2');
    await call('GET /catalog/cpus');
    await call('GET /catalog/cpus/cpu3c');
    await call('GET /catalog/templates');
    expect(complaints).toEqual([]);
    expect(unknown).toEqual([]);
    expect(stale(v2, V2_DEVIATIONS)).toEqual([]);
  });
});

describe.runIf(v1 !== undefined)('REST v1 answers what its description says', () => {
  it('in every flow', async () => {
    await using bench = openBench();
    const { call, complaints, unknown } = recorder(bench, v1, '/v1');
    const volume = await call('POST /networkvolumes', {
      name: 'data',
      size: 50,
      dataCenterId: 'US-KS-2',
    });
    await call('GET /networkvolumes');
    await call(`PATCH /networkvolumes/${String(volume['id'])}`, { size: 60 });
    const template = await call('POST /templates', { name: 'mine', imageName: IMAGE });
    await call('GET /templates');
    await call(`GET /templates/${String(template['id'])}`);
    const pod = await call('POST /pods', {
      name: 'one',
      imageName: IMAGE,
      gpuTypeIds: [RTX_4090],
      gpuCount: 1,
      dataCenterIds: ['US-KS-2'],
      networkVolumeId: String(volume['id']),
      ports: ['22/tcp'],
      env: { A: '1' },
    });
    const id = String(pod['id']);
    await bench.clock.advance(70);
    await call('GET /pods');
    await call(`GET /pods/${id}?includeMachine=true`);
    await call(`PATCH /pods/${id}`, { name: 'other' });
    for (const verb of ['stop', 'start', 'reset']) await call(`POST /pods/${id}/${verb}`);
    const auth = { name: 'r', username: 'u', password: 'p' };
    const registry = await call('POST /containerregistryauth', auth);
    await call('GET /containerregistryauth');
    await call(`DELETE /containerregistryauth/${String(registry['id'])}`);
    await call(`DELETE /pods/${id}`);
    await call(`DELETE /networkvolumes/${String(volume['id'])}`);
    expect(complaints).toEqual([]);
    expect(unknown).toEqual([]);
    expect(stale(v1, V1_DEVIATIONS)).toEqual([]);
  });
});
