import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LOCK } from '../../src/sessions/pod-script/lock.ts';

const run = promisify(execFile);
const SHELLS = ['dash', 'bash'];
const WITH_FLOCK = [true, false];
const CASES = SHELLS.flatMap((shell) => WITH_FLOCK.map((flock) => ({ shell, flock })));

describe.each(CASES)('the lock of the writers in $shell, flock: $flock', ({ shell, flock }) => {
  let folder: string;
  let programs: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'gl-lock-'));
    programs = await mkdtemp(path.join(os.tmpdir(), 'gl-path-'));
    for (const name of await readdir('/usr/bin'))
      if (flock || name !== 'flock') await symlink(`/usr/bin/${name}`, path.join(programs, name));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
    await rm(programs, { recursive: true, force: true });
  });
  const env = (): NodeJS.ProcessEnv => ({ PATH: programs });
  const script = (body: string): string => `d=${folder}\n${LOCK}\n${body}`;
  const sh = async (body: string): Promise<string> =>
    (await run(`/usr/bin/${shell}`, ['-c', script(body)], { env: env() })).stdout;

  it('is held by one of many at a time, and nobody goes without', async () => {
    await writeFile(path.join(folder, 'count'), '0\n');
    const turns =
      'i=0; while [ $i -lt 8 ]; do lock || { echo "$say"; exit 1; }; read -r c < "$d/count"; sleep 0.002; echo $((c+1)) > "$d/count"; unlock; i=$((i+1)); done';
    await Promise.all(Array.from({ length: 5 }, async () => sh(turns)));
    expect(await readFile(path.join(folder, 'count'), 'utf8')).toBe('40\n');
    expect(await readdir(folder)).not.toContain('lock');
  });

  it('is taken from an owner that was killed, by one of those who want it', async () => {
    const owner = spawn(`/usr/bin/${shell}`, ['-c', script('lock; echo held; read -r x')], {
      env: env(),
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(owner.stdout, 'data');
    const gone = once(owner, 'close');
    owner.kill('SIGKILL');
    await gone;
    await writeFile(path.join(folder, 'count'), '0\n');
    const turn =
      'lock || exit 1; read -r c < "$d/count"; sleep 0.02; echo $((c+1)) > "$d/count"; unlock';
    await Promise.all(Array.from({ length: 5 }, async () => sh(turn)));
    expect(await readFile(path.join(folder, 'count'), 'utf8')).toBe('5\n');
  });

  it('is taken from a stranger under a used-again pid, and from nobody who lives', async () => {
    await writeFile(path.join(folder, 'lock'), `${process.pid} 1\n`);
    expect(await sh('lock && echo mine; unlock')).toBe('mine\n');
    const stat = await readFile('/proc/self/stat', 'utf8');
    const born = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    await writeFile(path.join(folder, 'lock'), `${process.pid} ${String(born)}\n`);
    // Its patience is shortened, not its rule.
    expect(await sh('sleep() { rounds=$((rounds+60)); }; lock || echo "$say"; unlock')).toBe(
      'locked\n',
    );
    expect(await readFile(path.join(folder, 'lock'), 'utf8')).toContain(String(born));
  });

  it('is taken where its owner died before it wrote its name', async () => {
    await writeFile(path.join(folder, 'lock'), '');
    expect(await sh('lock && echo mine; unlock')).toBe('mine\n');
    expect(await readdir(folder)).not.toContain('lock');
  });

  it('says when the session is gone', async () => {
    await rm(folder, { recursive: true });
    expect(await sh('lock || echo "$say"')).toBe('gone\n');
  });
});
