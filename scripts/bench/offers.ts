/* find_offer over 2,000 offers against a bare fetch and JSON.parse of the same answer, in one run. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/core/call.ts';
import { createVastProvider } from '../../src/providers/vast/provider.ts';
import { BuiltServer, sandbox } from '../../test/support/built-server.ts';
import { aQuery } from '../../test/unit/providers/vast-offers/a-query.ts';
import { manyRows } from '../../test/unit/providers/vast-offers/rows.ts';
import { quantile, say } from './figures.ts';

const OFFERS = 2000;
const ROUNDS = 40;
const WARM_UP = 10;
const SEARCHES = 1000;
const KEY = 'bench-0123456789abcdef';
const MEMORY_AFTER = 100;
const MODELS = ['RTX 4090', 'RTX 3090', 'H100 SXM', 'A100 SXM4', 'RTX 6000Ada', 'L40S'];
const PLACES = ['Texas, US', 'Berlin, DE', ', CA', 'Moscow, RU', null];
/** Another process, so that serving takes nothing from either side. */
const SERVER = `
const { createServer } = require('node:http');
const body = require('node:fs').readFileSync(0);
const server = createServer((request, response) => {
  request.resume();
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
});
server.keepAliveTimeout = 60000;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

/** Prints ratios of medians, and the memory of the server over ${SEARCHES} searches. */
export async function benchOffers(): Promise<void> {
  const offers = manyRows(OFFERS, (index) => ({
    gpu_name: MODELS[index % MODELS.length],
    geolocation: PLACES[index % PLACES.length],
    num_gpus: 1,
    gpu_ram: 24_564 + (index % 3) * 24_576,
    public_ipaddr: `203.0.113.${index % 256}`,
  }));
  const answer = JSON.stringify({ offers });
  const cloud = spawn(process.execPath, ['-e', SERVER], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    cloud.stdin.end(answer);
    const [port] = (await once(createInterface({ input: cloud.stdout }), 'line')) as [string];
    await compare(`http://127.0.0.1:${port}`, answer.length);
  } finally {
    cloud.kill();
  }
}

async function compare(url: string, bytes: number): Promise<void> {
  const { signal } = new AbortController();
  const provider = createVastProvider({
    apiKey: KEY,
    baseUrl: url,
    clock: systemClock,
    ownPublicKey: async () => Promise.resolve(undefined),
  });
  await using box = await sandbox();
  await using server = await BuiltServer.start({
    ...box,
    env: { VAST_API_KEY: KEY, VAST_URL: url },
  });
  const ways = {
    bare: async () => {
      const answer = await fetch(`${url}/api/v0/bundles/`, { method: 'POST', body: '{}' });
      const { offers } = JSON.parse(await answer.text()) as { offers: unknown[] };
      return offers.length;
    },
    client: async () => (await provider.listOffers(aQuery(), { signal })).length,
    tool: async () => {
      const { offers } = await server.call('find_offer', { providers: ['vast'] });
      return (offers as unknown[]).length;
    },
  };
  const took = { bare: [] as number[], client: [] as number[], tool: [] as number[] };
  const expected = { bare: OFFERS, client: OFFERS, tool: 5 };
  for (let round = 0; round < ROUNDS + WARM_UP; round += 1)
    for (const way of ['bare', 'client', 'tool'] as const) {
      const before = performance.now();
      const found = await ways[way]();
      if (found !== expected[way]) throw new Error(`${way} found ${found} offers`);
      if (round >= WARM_UP) took[way].push(performance.now() - before);
    }
  const bare = quantile(took.bare, 0.5);
  const ratio = (way: 'client' | 'tool'): string =>
    `${(quantile(took[way], 0.5) / bare).toFixed(2)} x bare`;
  say(`${OFFERS} offers (${(bytes / 1e6).toFixed(1)} MB), the client`, ratio('client'), '<= 2 x');
  say('  find_offer as a tool', ratio('tool'), '<= 2 x');
  say(
    '  medians: bare / client / tool',
    `${[bare, quantile(took.client, 0.5), quantile(took.tool, 0.5)].map((ms) => ms.toFixed(0)).join(' / ')} ms`,
    '',
  );
  say(
    '  fastest tenth (least disturbed by neighbours)',
    `${[took.bare, took.client, took.tool].map((all) => quantile(all, 0.1).toFixed(0)).join(' / ')} ms`,
    '',
  );
  await memory(server);
}

async function memory(server: BuiltServer): Promise<void> {
  const megabytes: number[] = [];
  for (let search = 0; search < SEARCHES; search += 1) {
    await server.call('find_offer', { providers: ['vast'] });
    if (search % MEMORY_AFTER === MEMORY_AFTER - 1) megabytes.push(residentMegabytes(server));
  }
  say(
    `memory after ${MEMORY_AFTER} / ${SEARCHES} searches`,
    `${(megabytes[0] ?? 0).toFixed(0)} / ${(megabytes.at(-1) ?? 0).toFixed(0)} MB`,
    'flat',
  );
  say('  most', `${Math.max(...megabytes).toFixed(0)} MB`, '');
}

function residentMegabytes({ child }: BuiltServer): number {
  const found = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8'));
  return Number(found?.[1] ?? Number.NaN) / 1024;
}
