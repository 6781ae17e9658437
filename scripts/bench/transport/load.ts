/* What a large transfer costs everybody else: typing beside it, memory, the event loop of the server. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../../src/core/call.ts';
import { type BuiltServer, textAt } from '../../../test/support/built-server.ts';
import { quantile } from '../figures.ts';
import { noiseFile } from './data.ts';
import { type Lab, type LinkName, linkWords } from './lab.ts';
import { type Row, type Series, seriesOf } from './rows.ts';
import type { Scale } from './scale.ts';

const { signal } = new AbortController();
const KEY_PAUSE_SECONDS = 0.05;
const MIN_KEYS = 40;
const LOOK_SECONDS = 0.1;
const PROBE = path.resolve(import.meta.dirname, '../../../test/support/loop-delay-process.mjs');
const PROBE_DEADLINE_MS = 5000;
const MOVED_AT_ONCE_MEBIBYTES = 1024;

/** p95 of a command in an open session, alone and while a file comes home from the same pod. */
export async function typing(lab: Lab, name: LinkName, scale: Scale): Promise<Row[]> {
  const link = await lab.link(name);
  const server = await lab.server();
  const { profileId, podId } = link;
  const sessionId = textAt(await server.call('session_open', { profileId }), 'sessionId');
  const source = path.join(lab.there, 'typing.bin');
  await noiseFile(source, name === 'direct' ? scale.fileMebibytes : scale.farMebibytes / 4, 21);
  const into = path.join(lab.here, 'typing');
  const key = async (): Promise<number> => {
    await systemClock.sleep(KEY_PAUSE_SECONDS, { signal });
    const start = performance.now();
    await server.call('session_write', { sessionId, input: 'true' });
    return performance.now() - start;
  };
  const idle: number[] = [];
  const busy: number[] = [];
  for (let round = -1; round < scale.rounds; round += 1) {
    const [alone, beside]: [number[], number[]] = [[], []];
    for (let turn = 0; turn < MIN_KEYS; turn += 1) alone.push(await key());
    rmSync(into, { recursive: true, force: true });
    await mkdir(into, { recursive: true });
    const fetching = { done: false };
    const fetched = server
      .call('fetch_artifacts', { podId, paths: ['data/typing.bin'], localPath: into })
      .finally(() => {
        fetching.done = true;
      });
    fetched.catch(() => undefined);
    for (;;) {
      const took = await key();
      // Only what was typed wholly beside it counts.
      if (fetching.done) break;
      beside.push(took);
    }
    await fetched;
    if (round < 0) continue;
    idle.push(...alone);
    busy.push(...beside);
  }
  await server.call('session_close', { sessionId, force: true });
  rmSync(source);
  rmSync(into, { recursive: true });
  const [ours, theirs] = [seriesOf(busy), seriesOf(idle)];
  return [
    {
      id: `typing-${name}`,
      work: 'a command in a session while a fetch runs on the same pod, p95',
      link: linkWords[name],
      beside: 'the same with no fetch',
      target: { value: 1.5, unit: 'x', atMost: true },
      figure: ours.p95 / theirs.p95,
      unit: 'x',
      ours,
      theirs,
      seriesUnit: 'ms',
      how: `p95 ${ours.p95.toFixed(1)} / ${theirs.p95.toFixed(1)} ms; through the built server, figure is ours over idle`,
    },
  ];
}

/** Memory and event loop of a server of its own while many GiB go through it in both directions. */
export async function moving(lab: Lab, scale: Scale): Promise<Row[]> {
  const link = await lab.link('direct');
  const file = path.join(lab.here, 'loop-delay.json');
  const env = { NODE_OPTIONS: `--import ${PROBE}`, LOOP_DELAY_FILE: file };
  const server = await lab.newServer(env);
  const { profileId, podId } = link;
  const mebibytes = Math.min(MOVED_AT_ONCE_MEBIBYTES, scale.movedMebibytes / 2);
  const source = path.join(lab.there, 'moving.bin');
  await noiseFile(source, mebibytes, 31);
  const [home, away] = [path.join(lab.here, 'moved'), path.join(lab.there, 'moved')];
  const sampler = sampleMemory(server);
  const pings = pingAlong(server);
  await loopDelay(server, file);
  const start = performance.now();
  for (let moved = 0; moved < scale.movedMebibytes; moved += 2 * mebibytes) {
    await mkdir(home, { recursive: true });
    await server.call('fetch_artifacts', { podId, paths: ['data/moving.bin'], localPath: home });
    const copy = path.join(home, `turn${moved}.bin`);
    await copyFile(path.join(home, 'data', 'moving.bin'), copy);
    const remotePath = path.join(away, `turn${moved}.bin`);
    await server.call('sync_files', { profileId, localPath: copy, remotePath });
    for (const folder of [home, away]) rmSync(folder, { recursive: true });
  }
  const seconds = (performance.now() - start) / 1000;
  const loop = await loopDelay(server, file);
  const pinged = await pings.end();
  const most = await sampler.end();
  rmSync(source);
  const work = `moving ${scale.movedMebibytes / 1024} GiB`;
  const common = { link: linkWords.direct, beside: '–' } as const;
  const through = `half fetched, half sent, in ${seconds.toFixed(0)} s`;
  return [
    {
      ...common,
      id: 'memory',
      work: `${work}, most resident memory of the server`,
      target: { value: 200, unit: 'MB', atMost: true },
      figure: most.server,
      unit: 'MB',
      seriesUnit: '',
      how: `${through}; its worker threads are part of it; with its child processes ${most.tree.toFixed(0)} MB`,
    },
    {
      ...common,
      id: 'loop-delay',
      work: `${work}, delay of the main event loop, p99`,
      target: { value: 30, unit: 'ms', atMost: true },
      figure: loop.p99,
      unit: 'ms',
      seriesUnit: '',
      how: `\`monitorEventLoopDelay\` inside the built server, its period of ${loop.resolution} ms included; longest ${loop.max.toFixed(0)} ms`,
    },
    {
      ...common,
      id: 'ping-beside',
      work: `${work}, a \`ping\` of the protocol meanwhile, p99`,
      figure: quantile(pinged.all, 0.99),
      unit: 'ms',
      ours: pinged.series,
      seriesUnit: 'ms',
      how: 'from outside, over stdio',
    },
  ];
}

interface LoopDelay {
  readonly resolution: number;
  readonly max: number;
  readonly p99: number;
}

/** Figures since the last time. */
async function loopDelay({ child }: BuiltServer, file: string): Promise<LoopDelay> {
  rmSync(file, { force: true });
  child.kill('SIGUSR2');
  const deadline = performance.now() + PROBE_DEADLINE_MS;
  while (!existsSync(file)) {
    if (performance.now() > deadline) throw new Error('the probe in the server does not answer');
    await systemClock.sleep(LOOK_SECONDS, { signal });
  }
  await systemClock.sleep(LOOK_SECONDS, { signal });
  return JSON.parse(readFileSync(file, 'utf8')) as LoopDelay;
}

function pingAlong(server: BuiltServer): {
  end(): Promise<{ all: readonly number[]; series: Series }>;
} {
  const stop = new AbortController();
  const all: number[] = [];
  const pinging = (async () => {
    while (!stop.signal.aborted) {
      const start = performance.now();
      await server.request('ping');
      all.push(performance.now() - start);
      await systemClock.sleep(LOOK_SECONDS / 5, { signal });
    }
  })();
  // Told by `end`, if anybody still asks.
  pinging.catch(() => undefined);
  return {
    async end() {
      stop.abort();
      await pinging;
      return { all, series: seriesOf(all) };
    },
  };
}

/** Megabytes (10^6) of the server at its most, and of it with its children at the most that was seen. */
function sampleMemory({ child }: BuiltServer): {
  end(): Promise<{ readonly server: number; readonly tree: number }>;
} {
  const stop = new AbortController();
  const pid = child.pid ?? 0;
  let tree = 0;
  const looking = (async () => {
    while (!stop.signal.aborted) {
      tree = Math.max(
        tree,
        [pid, ...childrenOf(pid)].reduce((sum, each) => sum + megabytes(each, 'VmRSS'), 0),
      );
      await systemClock.sleep(LOOK_SECONDS, { signal });
    }
  })();
  return {
    async end() {
      stop.abort();
      await looking;
      return { server: megabytes(pid, 'VmHWM'), tree };
    },
  };
}

function megabytes(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return (Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) * 1024) / 1e6;
  } catch {
    // it ended meanwhile
    return 0;
  }
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
        .split(' ')
        .filter(Boolean)
        .map(Number),
    );
  } catch {
    return [];
  }
}
