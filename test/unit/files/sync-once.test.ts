import { randomBytes } from 'node:crypto';
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open, readdir, readFile, utimes } from 'node:fs/promises';
import path from 'node:path';
import { pipeline, Transform } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/call.ts';
import type { Remote } from '../../../src/core/remote.ts';
import { createLateHash, mayWait } from '../../../src/files/late-hash.ts';
import { openHashCache } from '../../../src/files/local-hash.ts';
import { packFiles, SLAB_BYTES } from '../../../src/files/pack.ts';
import { createRules } from '../../../src/files/rules.ts';
import { createUsedAgain } from '../../../src/files/used-again.ts';
import { type LocalFile, localFile, walkTree } from '../../../src/files/walk.ts';
import { call, openWorld, sha, syncRequest, treeOf, type World } from './harness.ts';

const MANY = 600;
const TOKEN = 'hf_abcdefghijklmnopqrstuvwxyz012345';
const { signal } = new AbortController();

async function manyFiles(
  world: World,
  extra: Readonly<Record<string, string>> = {},
): Promise<void> {
  await world.write({
    ...Object.fromEntries(
      Array.from({ length: MANY }, (_, at) => [`d${at % 7}/f${at}.txt`, `content ${at}\n`]),
    ),
    ...extra,
  });
}

/** Keeps what goes out over streams, and does something before each. */
function watched(remote: Remote, before: () => void = () => undefined): Remote & { out: string } {
  const kept = {
    ...remote,
    out: '',
    stream: async (...[pod, script, options]: Parameters<Remote['stream']>) => {
      before();
      const tap = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          kept.out += chunk.toString('latin1');
          done(null, chunk);
        },
      });
      if (options.stdin) pipeline(options.stdin, tap, () => undefined);
      return remote.stream(pod, script, {
        ...options,
        ...(options.stdin && { stdin: tap }),
      });
    },
  };
  return kept;
}

describe('a cold tree of many files is read once', () => {
  it('arrives whole, and the next sync reads nothing again', async () => {
    await using world = await openWorld();
    await manyFiles(world, { 'run.sh': 'echo\r\n' });
    const first = await world.sync();
    expect(first).toMatchObject({ sent: { files: MANY + 1 }, verified: true });
    expect(first.warnings?.[0]).toMatch(/^run\.sh: Windows line ends/);
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
    expect(await world.sync()).toMatchObject({
      sent: { files: 0 },
      unchanged: { files: MANY + 1 },
    });
  });

  it('a secret among them never leaves, all are named, and nothing is put in place [SY-18]', async () => {
    await using world = await openWorld();
    await manyFiles(world, {
      'd3/a-secret.txt': `one\ntoken = "${TOKEN}"\n`,
      'zz/other.txt': `AKIAABCDEFGHIJKLMNOP\n`,
    });
    const remote = watched(world.remote);
    const refused = world.over(remote).sync(syncRequest(), call);
    await expect(refused).rejects.toMatchObject({ code: 'secret_refused' });
    await expect(refused).rejects.toThrow(
      /"d3\/a-secret\.txt:2" .*"zz\/other\.txt:1" .*put in place/s,
    );
    expect(remote.out).not.toContain(TOKEN);
    expect(remote.out).not.toContain('AKIAABCDEFGHIJKLMNOP');
    expect(await readdir(world.podHome)).toEqual([]);
    // What the person allows goes.
    const allowed = await world.sync({
      allowSecrets: ['d3/a-secret.txt', 'other.txt'],
    });
    expect(allowed).toMatchObject({
      sent: { files: MANY + 2 },
      verified: true,
    });
  });

  it('a secret that comes between the listing and the reading stays at home', async () => {
    await using world = await openWorld();
    await manyFiles(world);
    const late = path.join(world.local('project'), 'd0/f0.txt');
    let touched = false;
    const remote = watched(world.remote, () => {
      if (!touched) appendFileSync(late, TOKEN);
      touched = true;
    });
    await expect(world.over(remote).sync(syncRequest(), call)).rejects.toMatchObject({
      code: 'secret_refused',
    });
    expect(remote.out).not.toContain(TOKEN);
    // All but that one had arrived whole.
    expect(Object.keys(await treeOf(world.pod('project')))).not.toContain('d0/f0.txt');
  });

  it('one that changes on its way is sent again as it is then', async () => {
    await using world = await openWorld();
    await manyFiles(world);
    const late = path.join(world.local('project'), 'd0/f0.txt');
    let touched = false;
    const remote = watched(world.remote, () => {
      if (!touched) writeFileSync(late, 'something else, and longer');
      touched = true;
    });
    const result = await world.over(remote).sync(syncRequest(), call);
    expect(result).toMatchObject({ sent: { files: MANY }, verified: true });
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
  });

  it('one that is no longer what was found has no hash, and is not remembered', async () => {
    await using world = await openWorld();
    await world.write({ 'a.txt': 'one' });
    const absolute = path.join(world.local('project'), 'a.txt');
    const found = localFile(absolute, 'a.txt');
    const cache = await openHashCache({
      home: path.join(world.root, 'home'),
      root: world.local('project'),
      clock: systemClock,
    });
    const late = createLateHash({
      cache,
      files: [found],
      isAllowed: () => false,
      warn: () => undefined,
    });
    const roomOf = ({ bytes }: LocalFile): Buffer => Buffer.alloc(bytes + 1);
    appendFileSync(absolute, ' more');
    expect(late.read(found, roomOf(found)).sha256).toBeUndefined();
    const now = localFile(absolute, 'a.txt');
    expect(cache.known(now)).toBeUndefined();
    expect(late.read(now, roomOf(now)).sha256).toBe(sha(readFileSync(absolute)));
    expect(late.sha256Of('a.txt')).toBe((await cache.hash(now, signal)).sha256);
    // A few files are looked through before anything is sent.
    expect(mayWait([found])).toEqual([]);
  });
});

it('a file that grew between the listing and the hashing leaves the others of the stream as they are', async () => {
  await using world = await openWorld();
  await world.write({ 'a.txt': 'one', 'b.txt': 'two' });
  const files = ['a.txt', 'b.txt'].map((name) =>
    localFile(path.join(world.local('project'), name), name),
  );
  // Far more than fills its block.
  appendFileSync(path.join(world.local('project'), 'a.txt'), 'more'.repeat(500));
  const planned = files.map((file) => ({
    ...file,
    sha256: sha(readFileSync(file.absolute)),
  }));
  const sent = new Map<string, string>();
  const late = {
    read: () => {
      throw new Error('All are planned.');
    },
  };
  const parts: Buffer[] = [];
  for await (const part of packFiles(planned, (name, sha256) => sent.set(name, sha256), {
    late,
    memory: createUsedAgain(SLAB_BYTES),
    signal,
  }))
    parts.push(Buffer.from(part));
  // Two members of a header and one block each.
  expect(Buffer.concat(parts)).toHaveLength(4 * 512);
  expect(sent.get('a.txt')).not.toBe(planned[0]?.sha256);
  expect(sent.get('b.txt')).toBe(planned[1]?.sha256);
});

describe('a file of some megabytes', () => {
  it('of which one byte changed costs its block, and the third time nothing is hashed on the pod', async () => {
    await using world = await openWorld();
    const file = path.join(world.local('project'), 'model.bin');
    await world.write({ 'model.bin': randomBytes((12 << 20) + 5) });
    await utimes(file, 1_700_000_000, 1_700_000_000);
    await world.sync();
    const hashed: boolean[] = [];
    const remote: Remote = {
      ...world.remote,
      exec: async (pod, script, options) => {
        hashed.push(/concurrent\.futures|^bb '/m.test(String(options.stdin)));
        return world.remote.exec(pod, script, options);
      },
    };
    const files = world.over(remote);
    for (const [at, isHashed] of [
      [5 << 20, true],
      [9 << 20, false],
    ] as const) {
      hashed.length = 0;
      const handle = await open(file, 'r+');
      await handle.write(randomBytes(1), 0, 1, at);
      await handle.close();
      const result = await files.sync(syncRequest(), call);
      expect(result).toMatchObject({ sent: { files: 1 }, verified: true });
      expect(result.wireBytes).toBeLessThan(1 << 20);
      expect(sha(await readFile(world.pod('project/model.bin')))).toBe(sha(await readFile(file)));
      expect(hashed.includes(true)).toBe(isHashed);
    }
  }, 60_000);
});

it('a folder that goes between its name and its content is as if it had never been', async () => {
  await using world = await openWorld();
  await world.write({ 'a.txt': 'a', 'gone/b.txt': 'b', 'last/c.txt': 'c' });
  const root = world.local('project');
  const rules = createRules(syncRequest());
  const walked = await walkTree(
    root,
    {
      ...rules,
      whyNot: (name, isFolder) => {
        if (name === 'gone') rmSync(path.join(root, 'gone'), { recursive: true });
        return rules.whyNot(name, isFolder);
      },
    },
    { signal, allowSecrets: () => false, explicit: () => false },
  );
  expect(walked.files.map((file) => file.path)).toEqual(['a.txt', 'last/c.txt']);
  rmSync(root, { recursive: true });
  await expect(
    walkTree(root, rules, { signal, allowSecrets: () => false, explicit: () => false }),
  ).rejects.toMatchObject({ code: 'ENOENT' });
});

it('a localPath that goes while it is read is named', async () => {
  await using world = await openWorld();
  await world.write({ 'a.txt': 'a' });
  const root = world.local('project');
  const progress = (message: string): void => {
    if (message.startsWith('Reading')) rmSync(root, { recursive: true });
  };
  await expect(world.files.sync(syncRequest(), { ...call, progress })).rejects.toMatchObject({
    code: 'checksum_mismatch',
    message: `${JSON.stringify(root)} vanished while it was being sent.`,
  });
});
