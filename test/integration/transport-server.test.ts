import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Direction } from '../support/fault-proxy.ts';
import { fetchOf } from '../support/file-requests.ts';
import { openTransport, type TransportBench, within } from '../support/transport-bench.ts';
import {
  codeOf,
  execWork,
  fetchWork,
  jobWork,
  sessionReadWork,
  sessionWork,
  syncWork,
  type Work,
} from '../support/transport-works.ts';
import { sampled } from '../support/whole.ts';

/** Links are found dead after 3 to 4 s. */
const KEEPALIVE_SECONDS = 1;
/** Each call has a limit of its own; this is for a machine that is busy with others. */
vi.setConfig({ testTimeout: 240_000 });

async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}
/** The server's own processes for each connection that is open now; what logins started is not among them. */
async function connectionsOf(pid: number): Promise<readonly number[]> {
  const found: number[] = [];
  for (const child of await childrenOf(pid)) {
    found.push(child);
    for (const inner of await childrenOf(child)) {
      const name = await readFile(`/proc/${inner}/comm`, 'utf8').catch(() => '');
      if (name.startsWith('sshd')) found.push(inner);
    }
  }
  return found;
}
function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids)
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended by itself.
    }
}

interface Trouble {
  readonly words: string;
  /** Answers what puts it right again once the work is over. */
  readonly strike: (bench: TransportBench) => Promise<() => Promise<void> | void>;
}
const TROUBLES: readonly Trouble[] = [
  {
    words: 'the processes of its connections are killed',
    strike: async ({ sshd }) => {
      signalAll(await connectionsOf(sshd.pid), 'SIGKILL');
      return () => undefined;
    },
  },
  {
    words: 'the processes of its connections stand still',
    strike: async ({ sshd }) => {
      const pids = await connectionsOf(sshd.pid);
      signalAll(pids, 'SIGSTOP');
      return () => {
        signalAll(pids, 'SIGCONT');
      };
    },
  },
  {
    words: 'the whole server stands still for 6 s',
    strike: async ({ sshd }) => {
      const pids = [sshd.pid, ...(await connectionsOf(sshd.pid))];
      signalAll(pids, 'SIGSTOP');
      const going = delay(6000).then(() => {
        signalAll(pids, 'SIGCONT');
      });
      return async () => going;
    },
  },
  {
    words: 'the server is killed and started again',
    strike: async ({ sshd }) => {
      await sshd.stop();
      await sshd.start();
      return () => undefined;
    },
  },
];
const WORKS: readonly {
  readonly name: string;
  readonly promise: string;
  readonly open: (bench: TransportBench) => Work | Promise<Work>;
  readonly direction: Direction;
  readonly byte: number;
}[] = [
  {
    name: 'a command',
    promise: 'runs once at most and never with half of its output',
    open: execWork,
    direction: 'down',
    byte: 100_000,
  },
  {
    name: 'session_write',
    promise: 'types each command once and tells its exit code [SE-13, SE-22]',
    open: sessionWork,
    direction: 'up',
    byte: 700,
  },
  {
    name: 'session_read',
    promise: 'shows every byte once [SE-07, SE-22]',
    open: sessionReadWork,
    direction: 'down',
    byte: 20_000,
  },
  {
    name: 'a job',
    promise: 'runs once, with its true exit code and its whole log [JO-06, JO-15]',
    open: jobWork,
    direction: 'down',
    byte: 2000,
  },
  {
    name: 'sync',
    promise: 'brings every file with its hash [SY-12]',
    open: (bench) => syncWork(bench, { bytes: 4 << 20 }),
    direction: 'up',
    byte: 2 << 20,
  },
  {
    name: 'fetch',
    promise: 'brings every file with its hash [AR-06, AR-07]',
    open: (bench) => fetchWork(bench, { bytes: 4 << 20 }),
    direction: 'down',
    byte: 2 << 20,
  },
];

describe.each(WORKS.map((work, row) => ({ ...work, row })))(
  '$name $promise',
  ({ open, direction, byte, row }) => {
    let bench: TransportBench;
    let work: Work;
    let turn = 1;
    beforeAll(async () => {
      bench = await openTransport({ keepaliveSeconds: KEEPALIVE_SECONDS });
      work = await open(bench);
      expect(await work.run(turn)).toEqual({ codes: [], lost: 0, doubled: 0 });
    });
    afterAll(async () => {
      await bench[Symbol.asyncDispose]();
    });

    it.each(sampled(TROUBLES, row, 3))('when $words in the middle of it', async ({ strike }) => {
      turn += 1;
      const set = bench.proxy.strike({ byte, direction, fault: { kind: 'stall', seconds: 0.3 } });
      const running = work.run(turn);
      running.catch(() => undefined);
      await Promise.race([set.when, running]);
      expect(set.struck).toBe(true);
      const mend = await strike(bench);
      try {
        expect(await running).toMatchObject({ lost: 0, doubled: 0 });
      } finally {
        await mend();
      }
      // Nothing of it lasts: a call may meet a link whose end is still on its way, the next one may not.
      turn += 1;
      const next = await work.run(turn);
      expect(next).toMatchObject({ lost: 0, doubled: 0 });
      if (next.codes.length > 0) {
        turn += 1;
        expect(await work.run(turn)).toEqual({ codes: [], lost: 0, doubled: 0 });
      }
      expect(await work.finish()).toMatchObject({ lost: 0, doubled: 0 });
    });
  },
);

it('over a link of one byte a second for ever every call ends within its own limit, typed', async () => {
  await using bench = await openTransport({ keepaliveSeconds: KEEPALIVE_SECONDS });
  const { ssh, podId, jobs, proxy, files } = bench;
  const { sessionId } = await within(30, async (signal) =>
    ssh.sessions.open(podId, { reuse: false }, { signal }),
  );
  const forEver = { kind: 'drip', seconds: 100_000 } as const;
  proxy.everyNew(() => [{ byte: 1, direction: 'down', fault: forEver }]);
  proxy.strikeAll(forEver);
  const exec = async (): Promise<string> =>
    within(5, async (signal) => ssh.remote.exec(podId, 'true', { signal, timeoutSeconds: 5 })).then(
      () => 'ran',
      (thrown: unknown) => codeOf(thrown, ['command_timeout', 'link_lost', 'ssh_unreachable']),
    );
  const ended = await Promise.all([
    exec(),
    within(2, async (signal) =>
      ssh.sessions.read(
        sessionId,
        { offset: 0, maxBytes: 100, waitSeconds: 2, format: 'clean' },
        { signal },
      ),
    ).then(() => 'read'),
    within(42, async (signal) =>
      ssh.sessions.write(
        sessionId,
        { input: 'echo x', newline: true, secret: false, waitSeconds: 2 },
        { signal },
      ),
    ).then(() => 'written', codeOf),
    within(75, async (signal) =>
      jobs.start(
        { podId, command: 'true', env: {}, secretEnv: [], artifacts: [], maxRuntimeMinutes: 1 },
        { signal },
      ),
    ).then(
      () => 'started',
      (thrown: unknown) => codeOf(thrown, ['command_timeout', 'link_lost', 'ssh_unreachable']),
    ),
    within(75, async (signal) =>
      files.fetch(fetchOf(podId, { paths: ['nothing'] }), { signal }),
    ).then(
      () => 'fetched',
      (thrown: unknown) =>
        codeOf(thrown, ['command_timeout', 'link_lost', 'ssh_unreachable', 'path_missing']),
    ),
  ]);
  expect(ended[1]).toBe('read');
  expect(ended[4]).not.toBe('fetched');
  proxy.everyNew(undefined);
  proxy.strikeAll({ kind: 'reset' });
  expect(await exec()).toBe('ran');
});
