import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { userDataOf } from '../../../../src/providers/lambda/user-data.ts';

const run = promisify(execFile);
const KEY = `ssh-ed25519 ${'A'.repeat(68)} it's-me`;

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'gpu-lease-user-data-'));
});
afterEach(async () => rm(home, { recursive: true, force: true }));

/** As cloud-init would, but in a home of its own and with another /etc/environment. */
async function boot(terms: Partial<Parameters<typeof userDataOf>[0]>): Promise<void> {
  const script = userDataOf({ sshPublicKey: KEY, env: {}, ...terms });
  const file = path.join(home, 'user-data');
  await writeFile(file, script.replaceAll('/etc/environment', '"$HOME"/environment'), {
    mode: 0o700,
  });
  await run(file, [], { cwd: home, env: { HOME: home, PATH: process.env['PATH'] } });
}
const read = async (name: string) => readFile(path.join(home, name), 'utf8');

describe('user data of a Lambda machine', () => {
  it('lets our key in once, and keeps those that are there', async () => {
    await boot({});
    await boot({});
    expect(await read('.ssh/authorized_keys')).toBe(`\n${KEY}\n`);
    expect((await stat(path.join(home, '.ssh/authorized_keys'))).mode & 0o777).toBe(0o600);
  });

  it('runs setup with the variables, keeps its output, and gives them to later logins', async () => {
    const env = { WHO: `it's "$HOME"` };
    await boot({ setup: '#!/bin/sh\necho "I am $WHO"; pwd > where', env });
    expect(await read('.gpu-lease/bootstrap.log')).toBe(`I am ${env.WHO}\n`);
    expect((await read('where')).trim()).toBe(home);
    expect(await read('environment')).toBe(`WHO=${env.WHO}\n`);
  });

  it('a setup that fails or exits is no end of the boot script', async () => {
    await boot({ setup: 'echo first; exit 3' });
    expect(await read('.gpu-lease/bootstrap.log')).toBe('first\n');
  });

  it.each([
    [{ setup: 'a\0b' }, 'invalid_input'],
    [{ env: { 'A B': '1' } }, 'invalid_input'],
    [{ env: { A: 'two\nlines' } }, 'invalid_input'],
    [{ env: { A: 'a#b' } }, 'invalid_input'],
    [{ env: { A: '"quoted"' } }, 'invalid_input'],
    [{ env: { A: 'ends\\' } }, 'invalid_input'],
    [{ setup: 'x'.repeat(1_000_000) }, 'too_large'],
  ])('%j is refused as %s', (terms, code) => {
    expect(() => userDataOf({ sshPublicKey: KEY, env: {}, ...terms })).toThrow(
      expect.objectContaining({ code }) as Error,
    );
  });
});
