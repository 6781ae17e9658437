import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { Redactor } from '../../src/core/redact.ts';
import { createSsh } from '../../src/sessions/ssh.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { startSshd, type TestSshd } from '../support/sshd.ts';

const { signal } = new AbortController();
const OWN = os.getPriority();
const BACK = Math.max(10, OWN);
/** Nice values of a command and of the process that started it, and the share of its login session. */
const LOOK = `for p in $$ $PPID; do read -r l < /proc/$p/stat; set -- \${l##*) }; echo "\${17}"; done
cat /proc/$$/autogroup 2>/dev/null`;

let sshd: TestSshd;
let home: string;
beforeAll(async () => {
  sshd = await startSshd();
  home = await mkdtemp(path.join(os.tmpdir(), 'gl-give-way-'));
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
  await rm(home, { recursive: true, force: true });
});

const connect = (givesWay: boolean, warmChannels: number): ReturnType<typeof createSsh> =>
  createSsh({
    machines: { endpoint: async () => Promise.resolve(sshd.endpoint) },
    store: createMemoryStore(),
    clock: systemClock,
    redactor: new Redactor(),
    home,
    givesWay,
    warmChannels,
  });
const lookOver = async ({ remote }: ReturnType<typeof createSsh>) => {
  const answer = await remote.exec(sshd.endpoint.podId, LOOK, { signal, timeoutSeconds: 20 });
  const [command, starter, group] = answer.stdout.toString().trim().split('\n');
  return { command: Number(command), starter: Number(starter), group };
};

describe.runIf(existsSync('/proc/self/stat'))('bulk on a pod', () => {
  it.each([0, 4])('steps back with its connection, and no other does (%i warm)', async (warm) => {
    await using bulk = connect(true, warm);
    await using other = connect(false, warm);
    await lookOver(other);
    // It is told in the background: the first command does not wait for it.
    const known = await vi.waitUntil(
      async () => {
        const seen = await lookOver(bulk);
        // Who is not root may set the share of a session ten times a second only.
        const isTold = seen.group === undefined || seen.group.endsWith(' nice 10');
        return seen.command === BACK && isTold ? seen : undefined;
      },
      { timeout: 20_000 },
    );
    expect(known.starter).toBe(BACK);
    for (let turn = 0; turn < 3; turn += 1) {
      const seen = await lookOver(other);
      expect(seen).toMatchObject({ command: OWN, starter: OWN });
      if (seen.group !== undefined) expect(seen.group).toMatch(/ nice 0$/);
    }
    expect(os.getPriority(sshd.pid)).toBe(OWN);
  });

  it('streams the same bytes, and its programs step back', async () => {
    await using bulk = connect(true, 0);
    await lookOver(bulk);
    const { exitCode, stdout } = await bulk.remote.exec(sshd.endpoint.podId, 'cat; nice; exit 3', {
      signal,
      timeoutSeconds: 20,
      stdin: 'bytes\n',
    });
    expect(exitCode).toBe(3);
    expect(stdout.toString()).toBe(`bytes\n${BACK}\n`);
  });
});
