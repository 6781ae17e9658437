import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type CallOptions, type Clock, systemClock } from '../../../src/core/call.ts';
import type { FetchRequest, Files, SyncRequest } from '../../../src/core/files.ts';
import { type JobId, jobIdSchema, podIdSchema } from '../../../src/core/ids.ts';
import { type Job, type Jobs, jobSchema } from '../../../src/core/job.ts';
import type { Remote } from '../../../src/core/remote.ts';
import type { Store } from '../../../src/core/store.ts';
import { createFiles } from '../../../src/files/files.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { fetchOf, syncOf } from '../../support/file-requests.ts';
import { createShellRemote } from '../../support/shell-remote.ts';

export const podId = podIdSchema.parse('local:files');
export const jobId = jobIdSchema.parse('job_files000001');
export const call: CallOptions = { signal: AbortSignal.timeout(600_000) };

/** A `Jobs` that only remembers; what files asks of jobs is the list and one look. */
export function jobsOf(jobs: () => readonly Job[]): Jobs {
  const refuse = async (): Promise<never> => Promise.reject(new Error('not part of this test'));
  return {
    start: refuse,
    wait: refuse,
    logs: refuse,
    cancel: refuse,
    collectLogs: async () => Promise.resolve(),
    get: async (id: JobId) => {
      const job = jobs().find((candidate) => candidate.jobId === id);
      if (job === undefined) throw new Error('no such job');
      return Promise.resolve(job);
    },
    list: async () => Promise.resolve(jobs()),
    refresh: async () => Promise.resolve(jobs()),
  };
}

export interface World extends AsyncDisposable {
  readonly root: string;
  readonly workspace: string;
  readonly podHome: string;
  readonly remote: Remote & { down: boolean };
  readonly store: Store;
  readonly files: Files;
  jobs: readonly Job[];
  /** The same, but over another remote. */
  over(remote: Remote): Files;
  local(name: string): string;
  pod(name: string): string;
  write(tree: Readonly<Record<string, string | Buffer>>): Promise<void>;
  writePod(tree: Readonly<Record<string, string | Buffer>>): Promise<void>;
  sync(request?: Partial<SyncRequest>): ReturnType<Files['sync']>;
  fetch(request?: Partial<FetchRequest>): ReturnType<Files['fetch']>;
  job(extra?: Partial<Job>): Job;
}

export async function openWorld(clock: Clock = fastClock()): Promise<World> {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'files-')));
  const workspace = path.join(root, 'workspace');
  const podHome = path.join(root, 'pod');
  await mkdir(path.join(workspace, 'project'), { recursive: true });
  await mkdir(podHome);
  const remote = createShellRemote(podHome);
  const store = createMemoryStore();
  const over = (through: Remote): Files =>
    createFiles({
      remote: through,
      store,
      jobs: jobsOf(() => world.jobs),
      clock,
      home: path.join(root, 'home'),
      workspace,
    });
  const put = async (folder: string, tree: Readonly<Record<string, string | Buffer>>) => {
    for (const [name, content] of Object.entries(tree)) {
      await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
      await writeFile(path.join(folder, name), content);
    }
  };
  const world: World = {
    root,
    workspace,
    podHome,
    remote,
    store,
    jobs: [],
    files: over(remote),
    over,
    local: (name) => path.join(workspace, name),
    pod: (name) => path.join(podHome, name),
    write: async (tree) => put(path.join(workspace, 'project'), tree),
    writePod: async (tree) => put(podHome, tree),
    sync: async (request) => world.files.sync(syncRequest(request), call),
    fetch: async (request) => world.files.fetch(fetchRequest(request), call),
    job: (extra) =>
      jobSchema.parse({
        jobId,
        podId,
        name: 'train',
        command: 'true',
        cwd: path.join(podHome, 'project'),
        folder: path.join(podHome, '.gpu-lease/jobs/x'),
        status: 'completed',
        artifacts: ['out/**'],
        maxRuntimeMinutes: 1,
        createdAt: '2026-01-01T00:00:00.000Z',
        endedAt: '2026-01-01T01:00:00.000Z',
        envNames: [],
        ...extra,
      }),
    async [Symbol.asyncDispose]() {
      await rm(root, { recursive: true, force: true });
    },
  };
  return world;
}

export function syncRequest(request: Partial<SyncRequest> = {}): SyncRequest {
  return syncOf(podId, request);
}

export function fetchRequest(request: Partial<FetchRequest> = {}): FetchRequest {
  return fetchOf(podId, { verify: 'load', ...request });
}

/** Real time, but nobody sleeps. */
export function fastClock(): Clock {
  return {
    now: () => systemClock.now(),
    sleep: async (_seconds, { signal }) => {
      signal.throwIfAborted();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** Every regular file below a folder with its content's sha256; empty when the folder is absent. */
export async function treeOf(folder: string): Promise<Readonly<Record<string, string>>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const tree: Record<string, string> = {};
  for (const entry of entries)
    if (entry.isFile()) {
      const file = path.join(entry.parentPath, entry.name);
      tree[path.relative(folder, file)] = sha(await readFile(file));
    }
  return tree;
}

export function sha(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
