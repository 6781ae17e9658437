import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SessionId } from '../../src/core/ids.ts';
import type { SessionWritten } from '../../src/core/session.ts';
import { MACHINES, type TestMachine } from '../support/machines.ts';

const options = { signal: new AbortController().signal };

/** Machines that lack programs: what is missing, and what kind of session that leaves. */
const POOR: readonly { readonly lacks: readonly string[]; readonly terminal: string }[] = [
  { lacks: ['script'], terminal: 'pty' },
  { lacks: ['script', 'setsid'], terminal: 'pty' },
  { lacks: ['bash'], terminal: 'pty' },
  { lacks: ['bash', 'script', 'flock'], terminal: 'pty' },
  { lacks: ['script', 'python3'], terminal: 'pipe' },
  { lacks: ['script', 'python3', 'bash'], terminal: 'pipe' },
  { lacks: ['script', 'python3', 'setsid', 'flock'], terminal: 'pipe' },
];

const CASES = MACHINES.flatMap(({ name, open }) =>
  POOR.map(({ lacks, terminal }) => ({ name, open, terminal, lacks })),
);

async function programsWithout(lacks: readonly string[]): Promise<string> {
  const programs = await mkdtemp(path.join(os.tmpdir(), 'gl-path-'));
  for (const folder of ['/usr/bin', '/bin'])
    for (const name of await readdir(folder).catch(() => []))
      if (!lacks.includes(name))
        await symlink(path.join(folder, name), path.join(programs, name)).catch(() => undefined);
  return programs;
}

it.each(MACHINES)(
  'on $name modules of the user are not taken for those of python3',
  async ({ open }) => {
    const programs = await programsWithout(['script']);
    for (const name of ['pty', 'select', 'signal'])
      await writeFile(path.join(programs, `${name}.py`), 'raise SystemExit(1)\n');
    await using machine = await open({
      env: { PATH: programs, SHELL: '/bin/sh', PYTHONPATH: programs },
    });
    const opened = await machine.ssh.sessions.open(machine.podId, { reuse: false }, options);
    expect(opened).toMatchObject({ terminal: 'pty', state: 'idle' });
    const told = { newline: true, secret: false, waitSeconds: 20 };
    const input = 'echo "$PYTHONPATH"';
    const written = await machine.ssh.sessions.write(opened.sessionId, { input, ...told }, options);
    expect(written.output).toBe(`${programs}\n`);
    await rm(programs, { recursive: true, force: true });
  },
);

describe.each(CASES)('a session on $name without $lacks', ({ open, lacks, terminal }) => {
  let machine: TestMachine;
  let programs: string;
  let id: SessionId;
  const write = async (input: string, waitSeconds = 20): Promise<SessionWritten> =>
    machine.ssh.sessions.write(id, { input, newline: true, secret: false, waitSeconds }, options);

  beforeAll(async () => {
    programs = await programsWithout(lacks);
    machine = await open({ env: { PATH: programs, SHELL: '/bin/sh' } });
    const opened = await machine.ssh.sessions.open(machine.podId, { reuse: false }, options);
    id = opened.sessionId;
    expect(opened).toMatchObject({ terminal, state: 'idle' });
  });
  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
    await rm(programs, { recursive: true, force: true });
  });

  it('keeps state and exit codes', async () => {
    expect(await write('cd /usr; A=kept; (exit 3)')).toMatchObject({ done: true, exitCode: 3 });
    expect((await write('echo "$? $A $PWD"')).output).toBe('3 kept /usr\n');
    expect(await write('if then')).toMatchObject({ done: true, exitCode: 2 });
    expect(await write('echo two; return 9')).toMatchObject({ done: true, exitCode: 9 });
  });

  it('gives input to a running command', async () => {
    const asked = await write('read -r x; echo "got $x"', 0.3);
    expect(asked).toMatchObject({ done: false, state: 'busy' });
    const told = await write('a line');
    expect(told).toMatchObject({ done: true, exitCode: 0, commandId: asked.commandId });
    expect(told.output).toBe('got a line\n');
  });

  it('ctrl-c ends the command and not the shell', async () => {
    const asked = await write('sleep 73.01; echo not reached', 0.3);
    const ended = await machine.ssh.sessions.write(
      id,
      { key: 'ctrl-c', newline: false, secret: false, waitSeconds: 20 },
      options,
    );
    expect(ended).toMatchObject({ done: true, exitCode: 130, commandId: asked.commandId });
    expect(await write('echo alive')).toMatchObject({ output: 'alive\n', exitCode: 0 });
  });

  it('ends with its shell, and leaves nothing', async () => {
    await write('sleep 73.02 &');
    expect(await machine.ssh.sessions.close(id, { force: true }, options)).toMatchObject({
      state: 'closed',
      processesGone: 'yes',
    });
    const page = await machine.ssh.sessions.read(
      id,
      { offset: 0, maxBytes: 20_000, waitSeconds: 0, format: 'clean' },
      options,
    );
    expect(page.output).toContain('got a line');
  });
});
