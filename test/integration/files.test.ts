import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Transform } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Files } from '../../src/core/files.ts';
import type { Remote } from '../../src/core/remote.ts';
import { createFiles } from '../../src/files/files.ts';
import { MACHINES, type TestMachine } from '../support/machines.ts';
import {
  call,
  fastClock,
  fetchRequest,
  jobsOf,
  sha,
  syncRequest,
  treeOf,
} from '../unit/files/harness.ts';

interface Pair extends AsyncDisposable {
  readonly machine: TestMachine;
  readonly workspace: string;
  readonly files: Files;
  /** The pod's folder that a relative remote path starts at. */
  readonly work: string;
  over(remote: Remote): Files;
}

async function openPair(kind: (typeof MACHINES)[number]): Promise<Pair> {
  const machine = await kind.open();
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'files-')));
  const workspace = path.join(root, 'workspace');
  await mkdir(path.join(workspace, 'project'), { recursive: true });
  const over = (remote: Remote): Files =>
    createFiles({
      remote,
      store: machine.store,
      jobs: jobsOf(() => []),
      clock: fastClock(),
      home: path.join(root, 'home'),
      workspace,
    });
  return {
    machine,
    workspace,
    work: await machine.ssh.remote.workFolder(machine.podId, call),
    files: over(machine.ssh.remote),
    over,
    async [Symbol.asyncDispose]() {
      await machine[Symbol.asyncDispose]();
      await rm(root, { recursive: true, force: true });
    },
  };
}

describe.each(MACHINES)('files over $name', (kind) => {
  it('a tree goes over, changes, comes back, all proven [SY-08, SY-12, SY-13, VE-02]', async () => {
    await using pair = await openPair(kind);
    const { podId } = pair.machine;
    const project = path.join(pair.workspace, 'project');
    const remotePath = path.posix.join(pair.machine.folderOnPod, `t-${process.pid}`, 'project');
    await mkdir(path.join(project, 'sub'));
    await writeFile(path.join(project, 'two\nlines $HOME.txt'), 'odd');
    await writeFile(path.join(project, 'sub/ü.py'), 'print(1)\n');
    await writeFile(path.join(project, 'big.bin'), Buffer.alloc(5 << 20, 'big'));
    const first = await pair.files.sync(syncRequest({ podId, remotePath }), call);
    expect(first).toMatchObject({ sent: { files: 3 }, verified: true });
    await writeFile(path.join(project, 'sub/ü.py'), 'print(2)\n');
    const second = await pair.files.sync(syncRequest({ podId, remotePath }), call);
    expect(second).toMatchObject({ sent: { files: 1 }, unchanged: { files: 2 } });
    expect(await treeOf(remotePath)).toEqual(await treeOf(project));

    const paths = [path.posix.relative(pair.work, remotePath)];
    const fetched = await pair.files.fetch(
      fetchRequest({ podId, paths: paths[0]?.startsWith('..') === true ? [remotePath] : paths }),
      call,
    );
    expect(fetched.manifest.totalFiles).toBe(3);
    for (const file of fetched.manifest.files)
      expect(sha(await readFile(file.localPath))).toBe(file.sha256);
  });

  it('a cut link in the middle of a sync costs no old file and is made good', async () => {
    await using pair = await openPair(kind);
    const { machine } = pair;
    const { podId } = machine;
    const file = path.join(pair.workspace, 'project/a.bin');
    const remotePath = path.posix.join(machine.folderOnPod, 'project');
    await writeFile(file, 'old');
    await pair.files.sync(syncRequest({ podId, remotePath }), call);
    const fresh = randomBytes(24 << 20);
    await writeFile(file, fresh);
    let cuts = 0;
    let seenDuring = '';
    const cutting: Remote = {
      ...bound(machine.ssh.remote),
      stream: async (id, script, options) => {
        if (cuts > 0) return machine.ssh.remote.stream(id, script, options);
        const tap = tapAfter(4 << 20, async () => {
          // Where the machine is slow to answer several streams run at once; the first to come so far is the one.
          if (cuts > 0) return;
          cuts += 1;
          await machine.cut();
          seenDuring = await readFile(path.join(remotePath, 'a.bin'), 'utf8');
        });
        return machine.ssh.remote.stream(id, script, {
          ...options,
          ...(options.stdin && { stdin: options.stdin.pipe(tap) }),
        });
      },
    };
    const result = await pair.over(cutting).sync(syncRequest({ podId, remotePath }), call);
    expect(seenDuring).toBe('old');
    expect(cuts).toBe(1);
    expect(result).toMatchObject({ sent: { files: 1 }, verified: true });
    expect(await treeOf(remotePath)).toEqual({ 'a.bin': sha(fresh) });
  });

  it('a cut link in the middle of a fetch shows no half file and is made good [AR-06, AR-07]', async () => {
    await using pair = await openPair(kind);
    const { machine } = pair;
    const { podId } = machine;
    const content = Buffer.alloc(24 << 20, 'result');
    await mkdir(path.join(pair.work, 'out-files'), { recursive: true });
    await writeFile(path.join(pair.work, 'out-files/a.safetensors'), content);
    try {
      let cuts = 0;
      const cutting: Remote = {
        ...bound(machine.ssh.remote),
        stream: async (id, script, options) => {
          if (cuts > 0 || options.stdout === undefined)
            return machine.ssh.remote.stream(id, script, options);
          const sink = options.stdout;
          const tap = tapAfter(4 << 20, async () => {
            if (cuts > 0) return;
            cuts += 1;
            await machine.cut();
            expect(await treeOf(path.join(pair.workspace, 'results'))).toEqual({});
          });
          tap.on('error', () => undefined);
          tap.pipe(sink);
          return machine.ssh.remote.stream(id, script, { ...options, stdout: tap });
        },
      };
      const request = fetchRequest({ podId, paths: ['out-files'], verify: 'hash' });
      await pair.over(cutting).fetch(request, call);
      expect(cuts).toBe(1);
      expect(await treeOf(path.join(pair.workspace, 'results'))).toEqual({
        'out-files/a.safetensors': sha(content),
      });
    } finally {
      await rm(path.join(pair.work, 'out-files'), { recursive: true, force: true });
    }
  });
});

/** Passes bytes on and does `once` when the first `bytes` of them have gone through. */
function tapAfter(bytes: number, once: () => Promise<void>): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const before = seen;
      seen += chunk.length;
      if (before < bytes && seen >= bytes)
        once().then(() => {
          done(null, chunk);
        }, done);
      else done(null, chunk);
    },
  });
}

function bound(remote: Remote): Remote {
  return {
    exec: async (...parameters) => remote.exec(...parameters),
    stream: async (...parameters) => remote.stream(...parameters),
    workFolder: async (...parameters) => remote.workFolder(...parameters),
    disconnect: async (...parameters) => remote.disconnect(...parameters),
    [Symbol.asyncDispose]: async () => Promise.resolve(),
  };
}
