import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createSshIdentity } from '../../../src/sessions/identity.ts';

const options = { signal: new AbortController().signal };
let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'gl-identity-'));
});
afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

it('makes a private pair on first use and keeps it', async () => {
  const first = await createSshIdentity({ home }).publicKey(options);
  expect(first).toMatch(/^ssh-ed25519 [A-Za-z0-9+/=]+ gpu-lease$/);
  expect(await createSshIdentity({ home }).publicKey(options)).toBe(first);
  const { keyPath } = createSshIdentity({ home });
  expect((await stat(keyPath)).mode & 0o777).toBe(0o600);
  expect((await stat(path.dirname(keyPath))).mode & 0o777).toBe(0o700);
});

it('many that start at once agree on one pair and leave no drafts', async () => {
  const lines = await Promise.all(
    Array.from({ length: 10 }, async () => createSshIdentity({ home }).publicKey(options)),
  );
  const bodies = new Set(lines.map((line) => line.split(' ')[1]));
  expect(bodies.size).toBe(1);
  expect((await readdir(path.join(home, 'ssh'))).sort()).toEqual(['id_ed25519', 'id_ed25519.pub']);
});

it('uses a key of the person, with or without its .pub file', async () => {
  const made = createSshIdentity({ home });
  const line = await made.publicKey(options);
  const keyPath = path.join(home, 'mine');
  await writeFile(keyPath, await readFile(made.keyPath), { mode: 0o600 });
  const mine = createSshIdentity({ home, keyPath });
  expect(mine.keyPath).toBe(keyPath);
  expect((await mine.publicKey(options)).split(' ')[1]).toBe(line.split(' ')[1]);
  await writeFile(`${keyPath}.pub`, 'ssh-ed25519 AAAA me@laptop\n');
  expect(await mine.publicKey(options)).toBe('ssh-ed25519 AAAA me@laptop');
});

it('a key that is not there or no key is config_missing, and none of ours is made in its place', async () => {
  const keyPath = path.join(home, 'absent');
  await expect(createSshIdentity({ home, keyPath }).publicKey(options)).rejects.toMatchObject({
    code: 'config_missing',
  });
  await writeFile(keyPath, 'no key');
  await expect(createSshIdentity({ home, keyPath }).publicKey(options)).rejects.toMatchObject({
    code: 'config_missing',
  });
  expect(await readdir(home)).toEqual(['absent']);
});

it('a folder that cannot be written is state_unwritable', async () => {
  await writeFile(path.join(home, 'ssh'), 'a file in the way');
  await expect(createSshIdentity({ home }).publicKey(options)).rejects.toMatchObject({
    code: 'state_unwritable',
  });
});
