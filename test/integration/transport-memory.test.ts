import { mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { startThread, type Thread } from '../../src/transfer/thread.ts';
import { createTransfers, type Transfers } from '../../src/transfer/transfers.ts';
import { startSshd, type TestSshd } from '../support/sshd.ts';
import { transferProgram } from '../support/transfer-program.ts';
import { hashesOf } from '../support/transport-works.ts';
import { fetchRequest, jobsOf, syncRequest } from '../unit/files/harness.ts';

vi.setConfig({ testTimeout: 180_000 });

/** Too little for a list of so many files; enough to begin. */
const SMALL_HEAP_MB = 18;
const FILES = 6000;

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
});

interface Desk {
  readonly root: string;
  readonly sshd: TestSshd;
  readonly transfers: Transfers;
  readonly threads: Thread[];
}
/** Threads that move files; the first has too little memory. */
async function openDesk(): Promise<Desk> {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'gl-memory-')));
  closers.push(async () => rm(root, { recursive: true, force: true }));
  await mkdir(path.join(root, 'workspace/project'), { recursive: true });
  const sshd = await startSshd({ podId: 'ssh:one' });
  closers.push(async () => sshd[Symbol.asyncDispose]());
  const program = await transferProgram();
  const threads: Thread[] = [];
  const transfers = createTransfers({
    start: () => {
      const thread = startThread(
        program,
        {
          home: path.join(root, 'home'),
          workspace: path.join(root, 'workspace'),
          stateFile: path.join(root, 'home/state.db'),
        },
        { PATH: process.env['PATH'] ?? '' },
        threads.length === 0 ? SMALL_HEAP_MB : undefined,
      );
      threads.push(thread);
      return thread;
    },
    machines: { endpoint: async () => Promise.resolve(sshd.endpoint) },
    jobs: jobsOf(() => []),
    gates: async () => Promise.resolve([]),
  });
  closers.push(async () => transfers[Symbol.asyncDispose]());
  return { root, sshd, transfers, threads };
}
const call = () => ({ signal: AbortSignal.timeout(120_000) });
async function manyFiles(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (let index = 0; index < FILES; index += 1)
    await writeFile(path.join(folder, `${'a long name '.repeat(18)}${index}`), `${index}`);
}

it('a sync that needs more memory than its thread has ends in an error of ours, and the next one goes through', async () => {
  const { root, sshd, transfers, threads } = await openDesk();
  const project = path.join(root, 'workspace/project');
  await manyFiles(project);
  const { podId } = sshd.endpoint;
  const request = syncRequest({ podId, localPath: 'project', remotePath: `${sshd.home}/project` });
  const failure = await transfers.sync(request, call()).catch((thrown: unknown) => thrown);
  expect(failure).toMatchObject({
    code: 'internal',
    hint: expect.stringContaining('fewer files at once') as string,
    cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' },
  });
  expect(threads).toHaveLength(1);
  expect(await transfers.sync(request, call())).toMatchObject({ verified: true });
  expect(threads).toHaveLength(2);
  expect(await hashesOf(`${sshd.home}/project`)).toEqual(await hashesOf(project));
});

it('a fetch that needs more memory than its thread has ends in an error of ours, and the next one goes through', async () => {
  const { root, sshd, transfers, threads } = await openDesk();
  const out = path.join(sshd.home, 'out');
  await manyFiles(out);
  const { podId } = sshd.endpoint;
  const request = fetchRequest({ podId, paths: [out], localPath: 'results', verify: 'hash' });
  const failure = await transfers.fetch(request, call()).catch((thrown: unknown) => thrown);
  expect(failure).toMatchObject({ code: 'internal', cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' } });
  await transfers.fetch(request, call());
  expect(threads).toHaveLength(2);
  const results = path.join(root, 'workspace/results');
  expect(await hashesOf(path.join(results, 'out'))).toEqual(await hashesOf(out));
  // What the dead thread had begun was taken over, not left.
  const names = await readdir(path.join(root, 'workspace'));
  expect(names.toSorted()).toEqual(['project', 'results']);
});
