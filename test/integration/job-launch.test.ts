import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newJobId } from '../../src/core/ids.ts';
import { launchOf } from '../../src/jobs/launch.ts';

/** What the scripts need on any machine. */
const COREUTILS =
  'sh base64 cat cut date dd df env false grep head kill ln ls mkdir mv nohup ps rm sed sleep sort tail tr true uname wc'.split(
    ' ',
  );
const programOf = (name: string): string =>
  ['/usr/bin', '/bin'].map((folder) => path.join(folder, name)).find((file) => existsSync(file)) ??
  '';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'gpu-lease-launch-'));
  await mkdir(path.join(root, 'bin'));
});
afterEach(async () => {
  await rm(root, { recursive: true, maxRetries: 10 });
});

describe('a job on a machine with', () => {
  it.each([
    { has: 'util-linux', programs: ['setsid'] },
    { has: 'perl', programs: ['perl'] },
    { has: 'python3', programs: ['python3'] },
    { has: 'bash', programs: ['bash'] },
    { has: 'nothing more than coreutils', programs: [] },
  ])(
    '$has gets its secrets, short and long, in both phases, and leaves them nowhere [SC-02] [SC-03]',
    async ({ programs }) => {
      const bin = path.join(root, 'bin');
      for (const name of [...COREUTILS, ...programs])
        if (programOf(name) !== '') await symlink(programOf(name), path.join(bin, name));
      const secret = `begin-${"it's $(not) `much`\n".repeat(3000)}end`;
      const jobId = newJobId();
      const { script, stdin } = launchOf(
        {
          jobId,
          cwd: root,
          limitSeconds: 60,
          hasSmoke: true,
          smokeLimitSeconds: 30,
          diskFloorBytes: 0,
          graceSeconds: 1,
        },
        {
          command: 'printf "%s %s\n" "${#LONG}" "$PIN"; printf "%s" "$LONG" | tail -c 20',
          smoke: 'printf "smoke %s %s\n" "${#LONG}" "$PIN"',
          env: { PLAIN: 'p' },
          secrets: { LONG: secret, PIN: 'tell-no-one-4711' },
        },
      );
      const child = spawn(programOf('sh'), ['-c', script], {
        env: { HOME: root, PATH: bin },
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      let said = '';
      child.stdout.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
      child.stdin.end(stdin);
      await once(child, 'close');
      expect(said).toBe('launched\n');
      const folder = path.join(root, '.gpu-lease/jobs', jobId);
      await expect
        .poll(async () => readFile(path.join(folder, 'exit'), 'utf8').catch(() => ''), {
          timeout: 40_000,
        })
        .toMatch(/^0 /);
      const out = await readFile(path.join(folder, 'stdout'), 'utf8');
      const length = secret.length;
      expect(out).toBe(
        `smoke ${length} tell-no-one-4711\n${length} tell-no-one-4711\n${secret.slice(-20)}`,
      );
      for (const name of ['command', 'smoke', 'env', 'run.sh', 'supervisor.sh', 'supervisor'])
        expect(await readFile(path.join(folder, name), 'utf8')).not.toMatch(
          /tell-no-one|not\) `much/,
        );
    },
  );
});
