import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import os, { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InputError } from '../../src/core/errors.ts';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { startThread, type Thread } from '../../src/transfer/thread.ts';
import { createTransfers, type Transfers } from '../../src/transfer/transfers.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { startSshd, type TestSshd } from '../support/sshd.ts';
import { transferProgram } from '../support/transfer-program.ts';
import { fetchRequest, jobsOf, syncRequest } from '../unit/files/harness.ts';

const MIB = 1 << 20;
const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

let root: string;
let sshds: TestSshd[];
let threads: Thread[];
let transfers: Transfers;
let asked: string[];
/** Stands before the first machine once there is one. */
let proxy: FaultProxy | undefined;

beforeEach(async () => {
  root = await realpath(await mkdtemp(path.join(tmpdir(), 'gl-thread-')));
  await mkdir(path.join(root, 'workspace'));
  sshds = await Promise.all(['ssh:one', 'ssh:two'].map(async (podId) => startSshd({ podId })));
  threads = [];
  asked = [];
  const program = await transferProgram();
  transfers = createTransfers({
    start: () => {
      const thread = startThread(
        program,
        {
          home: path.join(root, 'home'),
          workspace: path.join(root, 'workspace'),
          stateFile: path.join(root, 'home/state.db'),
        },
        { PATH: process.env['PATH'] ?? '' },
      );
      threads.push(thread);
      return thread;
    },
    machines: {
      endpoint: async (podId) => {
        asked.push(podId);
        const sshd = sshds.find(({ endpoint }) => endpoint.podId === podId);
        return sshd === undefined
          ? Promise.reject(new InputError('not_found', 'There is no such pod.'))
          : Promise.resolve(
              sshd === sshds[0] && proxy !== undefined
                ? { ...sshd.endpoint, port: proxy.port }
                : sshd.endpoint,
            );
      },
    },
    jobs: jobsOf(() => []),
    gates: async () => Promise.resolve([]),
  });
});
afterEach(async () => {
  await transfers[Symbol.asyncDispose]();
  await proxy?.[Symbol.asyncDispose]();
  proxy = undefined;
  await Promise.all(sshds.map(async (sshd) => sshd[Symbol.asyncDispose]()));
  await rm(root, { recursive: true, force: true });
});

const at = (number: number): TestSshd => {
  const sshd = sshds[number];
  if (sshd === undefined) throw new Error('There is no such machine.');
  return sshd;
};
const call = () => ({ signal: AbortSignal.timeout(60_000) });
async function onPod(sshd: TestSshd, name: string, bytes: number): Promise<Buffer> {
  const content = randomBytes(bytes);
  await writeFile(path.join(sshd.home, name), content);
  return content;
}
async function fetchOne(number: number, name: string, to: string, signal = call().signal) {
  const { podId } = at(number).endpoint;
  const paths = [path.join(at(number).home, name)];
  return transfers.fetch(fetchRequest({ podId, paths, localPath: to, verify: 'hash' }), { signal });
}

describe('the thread that moves files, over real OpenSSH', () => {
  it('syncs to two pods at once, and the state knows both machines', async () => {
    const project = path.join(root, 'workspace/project');
    await mkdir(project);
    for (let number = 0; number < 50; number += 1)
      await writeFile(path.join(project, `${number}.bin`), randomBytes(20_000));
    const results = await Promise.all(
      sshds.map(async ({ endpoint: { podId }, home }) =>
        transfers.sync(
          syncRequest({ podId, localPath: 'project', remotePath: `${home}/project` }),
          call(),
        ),
      ),
    );
    for (const result of results)
      expect(result).toMatchObject({ sent: { files: 50 }, verified: true });
    for (const { home } of sshds)
      expect(sha(await readFile(`${home}/project/7.bin`))).toBe(
        sha(await readFile(path.join(project, '7.bin'))),
      );
    expect(threads).toHaveLength(1);
    expect(new Set(asked)).toEqual(new Set(['ssh:one', 'ssh:two']));
    await using store = createSqliteStore({ file: path.join(root, 'home/state.db') });
    const known = (await store.hostKeys.list()).map(({ podId }) => podId);
    expect(known.toSorted()).toEqual(['ssh:one', 'ssh:two']);
  });

  it.runIf(existsSync('/proc/thread-self'))('steps back behind the server', async () => {
    const own = os.getPriority();
    const threadsAt = async (nice: number): Promise<number> => {
      const stats = await Promise.all(
        (await readdir('/proc/self/task')).map(async (thread) =>
          readFile(`/proc/self/task/${thread}/stat`, 'utf8').catch(() => ''),
        ),
      );
      return stats.filter((stat) => stat.split(') ').at(-1)?.split(' ')[16] === String(nice))
        .length;
    };
    const before = await threadsAt(Math.min(19, own + 5));
    await onPod(at(0), 'one.bin', 1000);
    await fetchOne(0, 'one.bin', path.join(root, 'workspace/one'));
    expect(await threadsAt(Math.min(19, own + 5))).toBeGreaterThan(before);
    expect(os.getPriority()).toBe(own);
  });

  it('ten fetches at once; the cancel of one disturbs no other', async () => {
    const sources = await Promise.all(
      Array.from({ length: 10 }, async (_none, number) =>
        onPod(at(number % 2), `${number}.bin`, 4 * MIB),
      ),
    );
    const abort = new AbortController();
    const calls = sources.map(async (_source, number) =>
      fetchOne(
        number % 2,
        `${number}.bin`,
        `home/${number}`,
        number === 3 ? abort.signal : undefined,
      ),
    );
    await vi.waitFor(
      () => {
        expect(asked.length).toBeGreaterThan(0);
      },
      // A thread of its own starts slowly on a busy machine.
      { timeout: 30_000 },
    );
    abort.abort();
    const ends = await Promise.allSettled(calls);
    for (const [number, end] of ends.entries())
      if (number === 3) expect(end).toMatchObject({ reason: { code: 'cancelled' } });
      else {
        if (end.status === 'rejected') throw end.reason;
        const [file] = end.value.manifest.files;
        const source = sources[number] ?? Buffer.alloc(0);
        expect(sha(await readFile(file?.localPath ?? ''))).toBe(sha(source));
      }
    expect(threads).toHaveLength(1);
    await using store = createSqliteStore({ file: path.join(root, 'home/state.db') });
    expect(await store.artifacts.list()).toHaveLength(9);
  });

  it('one that is killed in the middle fails its calls alone; the next call goes on in another', async () => {
    const source = await onPod(at(0), 'big.bin', 48 * MIB);
    proxy = await startFaultProxy(() => at(0).endpoint.port);
    // The link stands still there until the thread is dead: neither may be faster than the other.
    const half = proxy.strike({
      byte: 16 * MIB,
      direction: 'down',
      fault: { kind: 'stall', seconds: 60 },
    });
    const first = fetchOne(0, 'big.bin', 'home').catch((thrown: unknown) => thrown);
    await Promise.race([half.when, first]);
    expect(half.struck).toBe(true);
    await threads[0]?.end();
    expect(await first).toMatchObject({ code: 'internal', retryable: false });
    const again = await fetchOne(0, 'big.bin', 'home');
    expect(sha(await readFile(again.manifest.files[0]?.localPath ?? ''))).toBe(sha(source));
    expect(threads).toHaveLength(2);
  });

  it('a hang-up ends its connections too', async () => {
    await onPod(at(0), 'small.bin', 1000);
    await fetchOne(0, 'small.bin', 'home');
    const { podId } = at(0).endpoint;
    expect(await at(0).connections()).toBeGreaterThan(0);
    await transfers.disconnect(podId);
    // The server's own processes take a moment to see it.
    await vi.waitFor(
      async () => {
        expect(await at(0).connections()).toBe(0);
      },
      { timeout: 5000 },
    );
    expect((await fetchOne(0, 'small.bin', 'home')).manifest.totalFiles).toBe(1);
  });

  it('errors of the pod, of the server and of the person come through as they are', async () => {
    await expect(fetchOne(0, 'absent.bin', 'home')).rejects.toMatchObject({
      code: 'path_missing',
      hint: expect.stringContaining('dryRun') as string,
    });
    await expect(fetchOne(0, 'absent.bin', '/outside/of/it')).rejects.toMatchObject({
      code: 'path_outside_workspace',
    });
    await at(1).stop();
    await expect(fetchOne(1, 'x', 'home')).rejects.toMatchObject({
      code: 'ssh_unreachable',
      retryable: true,
    });
  });
});
