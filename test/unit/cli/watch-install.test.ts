import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../src/cli/run.ts';
import { type TestHost, testHost } from './host.ts';

let root = '';
let keys = '';
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'gpu-lease-unit-'));
  keys = path.join(root, 'keys.env');
  await writeFile(keys, 'VAST_API_KEY=the-key-itself\n', { mode: 0o600 });
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});
const host = (platform: NodeJS.Platform = 'linux'): TestHost =>
  testHost({
    platform,
    userHome: path.join(root, 'home'),
    workingFolder: root,
    stateFolder: path.join(root, 'state of mine'),
  });
const SERVICE = 'home/.config/systemd/user/gpu-lease-watch.service';

describe('watch --install', () => {
  it('shows the unit, writes it only with --yes, twice the same, and takes it away again [SA-10]', async () => {
    const file = path.join(root, SERVICE);
    const shown = host();
    expect(await runCli(['watch', '--install', '--settings', 'keys.env'], shown)).toBe(0);
    expect(shown.written()).toContain('Nothing was written. Add --yes to write it.');
    await expect(stat(file)).rejects.toThrow('ENOENT');

    const written = host();
    const words = ['watch', '--install', '--settings', keys, '--yes'];
    expect(await runCli(words, written)).toBe(0);
    const unit = await readFile(file, 'utf8');
    expect(written.written()).toContain(unit);
    expect(written.written()).toContain('systemctl --user enable --now gpu-lease-watch.service');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(unit).toContain(`EnvironmentFile=${keys}\n`);
    expect(unit).toContain(`"watch" "--wait" "--home" "${root}/state of mine"`);
    expect(unit).not.toContain('the-key-itself');

    const again = host();
    expect(await runCli([...words, '--json'], again)).toBe(0);
    expect(JSON.parse(again.written())).toMatchObject({ outcome: 'unchanged', file });

    const asked = host();
    expect(await runCli(['watch', '--uninstall'], asked)).toBe(0);
    expect(asked.written()).toContain('Add --yes to do it.');
    await stat(file);
    expect(await runCli(['watch', '--uninstall', '--yes'], host())).toBe(0);
    await expect(stat(file)).rejects.toThrow('ENOENT');
    const none = host();
    expect(await runCli(['watch', '--uninstall', '--yes'], none)).toBe(0);
    expect(none.written()).toContain('There is no');
  });

  it('on macOS is a launchd agent whose shell reads the file', async () => {
    const mac = host('darwin');
    expect(await runCli(['watch', '--install', '--settings', keys, '--yes'], mac)).toBe(0);
    const agent = await readFile(
      path.join(root, 'home/Library/LaunchAgents/gpu-lease.watch.plist'),
      'utf8',
    );
    expect(agent).toContain('set -a; . ');
    expect(agent).not.toContain('the-key-itself');
    expect(agent).toContain('<key>KeepAlive</key>');
  });

  it('wants a file of keys that nobody else reads', async () => {
    const without = host();
    expect(await runCli(['watch', '--install'], without)).toBe(2);
    expect(without.complaints()).toContain(
      '--install needs --settings FILE: a file of yours, mode 0600',
    );
    await chmod(keys, 0o644);
    const open = host();
    expect(await runCli(['watch', '--install', '--settings', keys, '--yes'], open)).toBe(2);
    expect(open.complaints()).toContain('chmod 600');
    const absent = host();
    expect(await runCli(['watch', '--install', '--settings', 'none.env'], absent)).toBe(2);
    expect(absent.complaints()).toContain('there is no');
  });

  it.each([
    ['export VAST_API_KEY=hidden', 'begins with "export"'],
    ['VAST_API_KEY = hidden', 'is not NAME=value'],
    ['. ./hidden.env', 'is not NAME=value'],
    ['GPU_LEASE_HOME=$HOME/hidden', 'put it in single quotes'],
    ['GPU_LEASE_HOME=~/hidden', 'put it in single quotes'],
    ['GPU_LEASE_WORKSPACE=hidden there', 'put it in single quotes'],
    ['GPU_LEASE_WORKSPACE="hidden', 'put it in single quotes'],
  ])('tells the line that systemd or launchd would misread: %s', async (line, why) => {
    await writeFile(keys, `# mine\n\n${line}\n`);
    for (const platform of ['linux', 'darwin'] as const) {
      const asked = host(platform);
      expect(await runCli(['watch', '--install', '--settings', keys, '--yes'], asked)).toBe(2);
      expect(asked.complaints()).toContain('line 3 of ');
      expect(asked.complaints()).toContain(why);
      expect(asked.complaints()).not.toContain('hidden');
    }
    await expect(stat(path.join(root, SERVICE))).rejects.toThrow('ENOENT');
  });

  it('names what the file sets, and a file that sets nothing is refused', async () => {
    const told = host();
    await writeFile(keys, `VAST_API_KEY=a-b_c.d/e+f=\nGPU_LEASE_HOME='/a b/$c'\n A="x y"\n`);
    expect(await runCli(['watch', '--install', '--settings', keys, '--json'], told)).toBe(0);
    expect(JSON.parse(told.written())).toMatchObject({
      names: ['VAST_API_KEY', 'GPU_LEASE_HOME', 'A'],
    });
    await writeFile(keys, '# nothing\n');
    expect(await runCli(['watch', '--install', '--settings', keys], host())).toBe(2);
  });

  it('leaves a file of somebody else as it is, and says where there is neither', async () => {
    const file = path.join(root, SERVICE);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, '[Service]\nExecStart=mine\n');
    for (const words of [
      ['--install', '--settings', keys, '--yes'],
      ['--uninstall', '--yes'],
    ]) {
      const strange = host();
      expect(await runCli(['watch', ...words], strange)).toBe(1);
      expect(strange.written()).toContain('was not written by gpu-lease');
    }
    expect(await readFile(file, 'utf8')).toBe('[Service]\nExecStart=mine\n');
    const windows = host('win32');
    expect(await runCli(['watch', '--uninstall'], windows)).toBe(1);
    expect(windows.written()).toContain('watch --once');
  });
});
