import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { aProfile } from '../contract/store-contract.ts';
import { bundled } from '../support/bundle.ts';

const program = await bundled('test/support/store-process.mjs');

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) {
    await chmod(folder, 0o700);
    await rm(folder, { recursive: true, force: true });
  }
});
async function newFile(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'gl-state-'));
  folders.push(folder);
  return path.join(folder, 'home', 'state.db');
}
const start = (file: string, ...args: readonly string[]) =>
  spawn(process.execPath, [program, file, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });

describe('one state file, several processes', () => {
  it('three processes count together and lose nothing', async () => {
    const file = await newFile();
    const ends = await Promise.all(
      [1, 2, 3].map(async () => {
        const child = start(file, 'count', '40');
        let errors = '';
        child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
        const [code] = (await once(child, 'close')) as [number];
        return { code, errors };
      }),
    );
    expect(
      ends.map(({ code }) => code),
      ends.map(({ errors }) => errors).join(),
    ).toEqual([0, 0, 0]);
    await using store = createSqliteStore({ file });
    expect((await store.profiles.get('n'))?.host).toBe('120');
  });

  it('two connections of one process keep their locks: another process that ends takes nothing from them', async () => {
    const file = await newFile();
    const countOnce = async (): Promise<void> => {
      const [code] = (await once(start(file, 'count', '1'), 'close')) as [number];
      expect(code).toBe(0);
    };
    await using one = createSqliteStore({ file });
    await one.profiles.put('n', aProfile('n', '10'));
    await using two = createSqliteStore({ file });
    expect((await two.profiles.get('n'))?.host).toBe('10');
    await countOnce();
    expect((await one.profiles.get('n'))?.host).toBe('11');
    // A log that the other process had removed under us would swallow this.
    await one.profiles.put('n', aProfile('n', '20'));
    await two.profiles.put('m', aProfile('m', 'seen'));
    await countOnce();
    expect((await one.profiles.get('n'))?.host).toBe('21');
    expect((await two.profiles.get('n'))?.host).toBe('21');
  });

  it('a process killed inside a transaction leaves the old state', async () => {
    const file = await newFile();
    await using store = createSqliteStore({ file });
    await store.profiles.put('n', aProfile('n', 'whole'));
    const child = start(file, 'hang');
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'close');
    expect((await store.profiles.get('n'))?.host).toBe('whole');
    expect(await store.profiles.get('other')).toBeUndefined();
    await store.profiles.put('n', aProfile('n', 'new'));
    await using second = createSqliteStore({ file });
    expect((await second.profiles.get('n'))?.host).toBe('new');
  });

  it('two stores see each other, and wait for each other without blocking', async () => {
    const file = await newFile();
    await using one = createSqliteStore({ file });
    await using two = createSqliteStore({ file });
    await one.profiles.put('a', aProfile('a'));
    expect(await two.profiles.get('a')).toEqual(aProfile('a'));
    await Promise.all([
      one.transaction(async (tx) => {
        await tx.profiles.put('b', aProfile('b'));
        await new Promise((resolve) => setImmediate(resolve));
      }),
      two.profiles.put('c', aProfile('c')),
    ]);
    expect(await two.profiles.list()).toHaveLength(3);
  });
});

describe('a state folder that does not work', () => {
  it('is private', async () => {
    const file = await newFile();
    await using store = createSqliteStore({ file });
    await store.profiles.put('a', aProfile('a'));
    expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700);
    for (const name of [file, `${file}-wal`]) expect((await stat(name)).mode & 0o777).toBe(0o600);
  });

  it('names the folder when it cannot be made, and works once it can', async () => {
    const file = await newFile();
    await writeFile(path.dirname(file), 'a file is in the way');
    await using store = createSqliteStore({ file });
    await expect(store.profiles.list()).rejects.toMatchObject({
      code: 'state_unwritable',
      message: expect.stringContaining(path.dirname(file)) as string,
    });
    await rm(path.dirname(file));
    await store.profiles.put('a', aProfile('a'));
    expect(await store.profiles.list()).toHaveLength(1);
  });

  it('a state file that is deleted while it is open is put back with all it knew [OW-07]', async () => {
    const file = await newFile();
    await using one = createSqliteStore({ file });
    await using two = createSqliteStore({ file });
    await one.profiles.put('a', aProfile('a'));
    await two.profiles.put('b', aProfile('b'));
    await rm(file);
    await Promise.all([
      ...Array.from({ length: 20 }, async (_, index) =>
        (index % 2 === 0 ? one : two).profiles.put(`n${index}`, aProfile(`n${index}`)),
      ),
      one.transaction(async (tx) => tx.profiles.put('t', aProfile('t'))),
    ]);
    await using fresh = createSqliteStore({ file });
    expect(await fresh.profiles.list()).toHaveLength(23);
    expect(await one.profiles.list()).toHaveLength(23);
    expect(await two.profiles.list()).toHaveLength(23);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const left = (await readdir(path.dirname(file))).filter((name) => name.includes('copy'));
    expect(left).toEqual([]);
  });

  it('a whole state folder that is deleted comes back, and spending goes on being recorded', async () => {
    const file = await newFile();
    await using store = createSqliteStore({ file });
    await store.profiles.put('a', aProfile('a'));
    await rm(path.dirname(file), { recursive: true });
    expect(await store.profiles.get('a')).toEqual(aProfile('a'));
    await using fresh = createSqliteStore({ file });
    expect(await fresh.profiles.list()).toHaveLength(1);
  });

  it('a state file that is replaced by another is the one that counts', async () => {
    const file = await newFile();
    await using old = createSqliteStore({ file });
    await old.profiles.put('old', aProfile('old'));
    for (const suffix of ['', '-wal', '-shm']) await rm(`${file}${suffix}`);
    await using other = createSqliteStore({ file });
    await other.profiles.put('new', aProfile('new'));
    expect((await old.profiles.list()).map(({ profileId }) => profileId)).toEqual(['new']);
    await old.profiles.put('more', aProfile('more'));
    expect(await other.profiles.list()).toHaveLength(2);
  });

  it('leaves a damaged file as it is', async () => {
    const file = await newFile();
    await mkdir(path.dirname(file));
    const damaged = 'this is not a database '.repeat(400);
    await writeFile(file, damaged);
    await using store = createSqliteStore({ file });
    await expect(store.leases.list()).rejects.toMatchObject({ code: 'state_unwritable' });
    expect(await readFile(file, 'utf8')).toBe(damaged);
  });

  it('a disk that is full fails typed, keeps what was there, and goes on being read', async () => {
    const file = await newFile();
    // A limit on file sizes stands for the full disk.
    const script = 'trap "" XFSZ; ulimit -f 1000; exec "$@"';
    const args = [program, file, 'fill', '100'];
    const child = spawn('sh', ['-c', script, 'sh', process.execPath, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await once(child, 'close');
    const { failures, kept } = JSON.parse(text) as { failures: { code: string }[]; kept: number };
    expect(failures).toMatchObject([{ code: 'state_unwritable' }, { code: 'state_unwritable' }]);
    await using store = createSqliteStore({ file });
    expect(await store.profiles.list()).toHaveLength(kept);
    await store.profiles.put('after', aProfile('after'));
    expect(await store.profiles.get('after')).toEqual(aProfile('after'));
  });

  it('one record that cannot be read hides no other, and is kept', async () => {
    const file = await newFile();
    await using store = createSqliteStore({ file });
    await store.profiles.put('a', aProfile('a'));
    await store.profiles.put('b', { ...aProfile('b'), port: 'twenty-two' } as never);
    expect(await store.profiles.list()).toEqual([aProfile('a')]);
    await expect(store.profiles.get('b')).rejects.toMatchObject({ code: 'state_unreadable' });
    expect(await store.profiles.unreadable?.()).toEqual(['b']);
  });
});
