/* Figures of the built server, as ratios inside one run. Never a test: the machines are shared and noisy. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { BuiltServer, sandbox } from '../test/support/built-server.ts';
import { gone, readyPod } from '../test/support/day.ts';
import { benchChaos } from './bench/chaos.ts';
import { benchFaults } from './bench/faults.ts';
import { quantile, say } from './bench/figures.ts';
import { benchFirstCommand } from './bench/first-command.ts';
import { benchOffers } from './bench/offers.ts';
import { benchOrphans } from './bench/orphans.ts';
import { benchSharedLoad } from './bench/shared-load.ts';
import { benchTransport } from './bench/transport.ts';

const ROUNDS = 10;
const COMMANDS = 60;
const CALLS = 2000;

/** `npm run bench -- offers`: one part only. */
const PARTS = {
  start: coldStart,
  server: inUse,
  offers: benchOffers,
  'first-command': benchFirstCommand,
  orphans: benchOrphans,
} as const;

/** Parts that take an hour and words of their own: only when asked for by name. */
const LONG_PARTS: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  transport: benchTransport,
  faults: benchFaults,
  chaos: benchChaos,
  'shared-load': benchSharedLoad,
};

const wanted = process.argv.slice(2);
const [asked = '', ...words] = wanted;
const long = LONG_PARTS[asked];
if (long !== undefined) await long(words);
else
  for (const [name, part] of Object.entries(PARTS))
    if (wanted.length === 0 || wanted.includes(name)) await part();

async function coldStart(): Promise<void> {
  const bare: number[] = [];
  const server: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await using box = await sandbox();
    const before = performance.now();
    spawnSync(process.execPath, ['-e', '0']);
    bare.push(performance.now() - before);
    server.push(await untilInitialized(box));
  }
  const ratio = quantile(server, 0.5) / quantile(bare, 0.5);
  say('cold start to the answer of initialize', `${ratio.toFixed(2)} x node -e 0`, '<= 2.5 x');
  say(
    '  medians',
    `${quantile(server, 0.5).toFixed(0)} / ${quantile(bare, 0.5).toFixed(0)} ms`,
    '',
  );
}

async function untilInitialized(box: { home: string; workspace: string }): Promise<number> {
  const before = performance.now();
  await using server = await BuiltServer.start(box);
  const took = performance.now() - before;
  await server.kill9();
  return took;
}

async function inUse(): Promise<void> {
  await using box = await sandbox();
  await using server = await BuiltServer.start(box);
  const { tools } = (await server.request('tools/list')) as { tools: Record<string, unknown>[] };
  const seenByModels = tools.map((tool) => ({ ...tool, outputSchema: undefined }));
  const sizes = seenByModels.map((tool) => ({
    name: String('name' in tool ? tool.name : ''),
    size: JSON.stringify(tool).length,
  }));
  const seen = JSON.stringify(seenByModels).length;
  const largest = sizes.toSorted((a, b) => b.size - a.size)[0];
  say('tools/list without output schemas', `${seen} chars`, '<= 20000');
  say(`  largest tool (${largest?.name ?? ''})`, `${largest?.size ?? 0} chars`, '<= 2400');
  say('tools/list whole', `${JSON.stringify(tools).length} chars`, '<= 36000');

  const podId = await readyPod(server);
  const { sessionId } = await server.call('session_open', { podId });
  const took: number[] = [];
  const spawned: number[] = [];
  for (let round = 0; round < COMMANDS; round += 1) {
    const before = performance.now();
    await server.call('session_write', { sessionId, input: '/bin/true' });
    took.push(performance.now() - before);
    const start = performance.now();
    spawnSync('/bin/true');
    spawned.push(performance.now() - start);
  }
  const over = quantile(took, 0.5) - quantile(spawned, 0.5);
  say('a command in an open session, p50 over /bin/true', `${over.toFixed(1)} ms`, '<= 15 ms');
  say(
    '  p50 / p95',
    `${quantile(took, 0.5).toFixed(1)} / ${quantile(took, 0.95).toFixed(1)} ms`,
    '',
  );

  for (let round = 0; round < CALLS; round += 1)
    await (round % 2 === 0
      ? server.call('session_read', { sessionId, offset: 0 })
      : server.tool('get_pod', { podId }));
  say(
    `resident memory after ${CALLS} calls`,
    `${residentMegabytes(server.child.pid ?? 0).toFixed(0)} MB`,
    '< 120 MB',
  );
  await gone(server, podId);
}

function residentMegabytes(pid: number): number {
  const found = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1] ?? Number.NaN) / 1024;
}
