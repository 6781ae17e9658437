import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ssh2 from 'ssh2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keysOfHome, variablesOfHome } from '../../../src/pod/login-files.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'gpu-lease-login-'));
  await mkdir(path.join(home, '.ssh'));
});
afterEach(async () => rm(home, { recursive: true, force: true }));
const write = async (name: string, text: string): Promise<string> => {
  const file = path.join(home, '.ssh', name);
  await writeFile(file, text, { mode: 0o600 });
  return file;
};
const newKey = (): string => ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 }).public;

describe('the authorized_keys of a home', () => {
  it('are those that can be read; a line with options lets nobody in', async () => {
    const key = newKey();
    await write(
      'authorized_keys',
      `# mine\n\n${key} me@laptop\r\nnot a key\nssh-ed25519 AAAA broken\ncommand="echo no" ${newKey()}\n`,
    );
    const blobs = keysOfHome(home).map((found) => found.getPublicSSH().toString('base64'));
    expect(blobs).toEqual([key.split(' ')[1]]);
  });
  it('are read again each time, and are none in a file that others may write', async () => {
    expect(keysOfHome(home)).toEqual([]);
    const file = await write('authorized_keys', `${newKey()}\n`);
    expect(keysOfHome(home)).toHaveLength(1);
    await chmod(file, 0o666);
    expect(keysOfHome(home)).toEqual([]);
  });
});

describe('the environment file of a home', () => {
  it('gives its lines, quotes taken off', async () => {
    await write(
      'environment',
      'A=1\nexport B="two words"\nC=\'$x\'\n# D=4\nnonsense\n2E=5\nF=a=b\nG="half\n',
    );
    expect(variablesOfHome(home)).toEqual([
      ['A', '1'],
      ['B', 'two words'],
      ['C', '$x'],
      ['F', 'a=b'],
      ['G', '"half'],
    ]);
  });
  it('is nothing where there is none', () => {
    expect(variablesOfHome(home)).toEqual([]);
  });
});
