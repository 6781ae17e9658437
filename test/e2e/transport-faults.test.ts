import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { BuiltServer, type Json, numberAt, sandbox, textAt } from '../support/built-server.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { randomFrom } from '../support/random.ts';
import { startSshd, type TestSshd } from '../support/sshd.ts';
import { bytesFrom, hashesOf } from '../support/transport-works.ts';

const SEED = 20_261_122;
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
});

interface Desk {
  readonly server: BuiltServer;
  readonly workspace: string;
  readonly sshd: TestSshd;
  readonly proxy: FaultProxy;
  /** Codes of calls that the link failed. */
  readonly codes: string[];
  /** Calls as an agent does: what the link failed is called again where `mayRepeat` says that it is safe. */
  readonly call: (name: string, args: Json, mayRepeat?: () => Promise<boolean>) => Promise<Json>;
}

/** The built server and a machine of the user's, reached over a link that breaks. */
async function openDesk(): Promise<Desk> {
  const box = await sandbox();
  closers.push(async () => box[Symbol.asyncDispose]());
  const sshd = await startSshd();
  closers.push(async () => sshd[Symbol.asyncDispose]());
  const proxy = await startFaultProxy(() => sshd.endpoint.port);
  closers.push(async () => proxy[Symbol.asyncDispose]());
  const server = await BuiltServer.start(box);
  closers.push(async () => server[Symbol.asyncDispose]());
  const { user } = sshd.endpoint;
  const sshCommand = `ssh -p ${proxy.port} -i ${sshd.keyPath} ${user}@127.0.0.1`;
  await server.call('ssh_profile', {
    action: 'save',
    profileId: 'lab',
    sshCommand,
    workFolder: sshd.home,
  });
  const codes: string[] = [];
  return {
    server,
    workspace: box.workspace,
    sshd,
    proxy,
    codes,
    async call(name, args, mayRepeat = async () => Promise.resolve(true)) {
      for (;;) {
        const answer = await server.tool(name, args);
        if (!answer.isError) return answer.data;
        const code = textAt(answer.data, 'code');
        if (!['ssh_unreachable', 'link_lost'].includes(code))
          throw new Error(`${name}: ${answer.text}`);
        codes.push(`${name} ${code}`);
        if (codes.length > 40) throw new Error(`no end of it: ${codes.join(', ')}`);
        if (code === 'link_lost' && !(await mayRepeat())) return answer.data;
      }
    },
  };
}
async function linesOf(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean);
}

it('a whole day over links of which none lives long: every command and job once, every file whole [SE-22, JO-15, SY-12]', async () => {
  const { server, workspace, sshd, proxy, call, codes } = await openDesk();
  const random = randomFrom(SEED);
  // Each of the next links dies at a byte of its own, this way or that, by a reset, an end or a stall.
  proxy.everyNew((link) =>
    link > 24
      ? []
      : [
          {
            byte: 3000 + Math.floor(random() * 500_000),
            direction: random() < 0.5 ? 'up' : 'down',
            fault: random() < 0.5 ? { kind: 'reset' } : { kind: 'end' },
          },
        ],
  );
  const profileId = 'lab';
  const sessionId = textAt(await call('session_open', { profileId }), 'sessionId');
  const counter = path.join(sshd.home, 'counter');
  for (let number = 1; number <= 12; number += 1) {
    const input = `echo ${number} >>"$HOME/counter"; seq 1 2000; (exit ${number})`;
    const typed = async (): Promise<boolean> => !(await linesOf(counter)).includes(String(number));
    const written = await call('session_write', { sessionId, input, waitSeconds: 30 }, typed);
    if (written['code'] === undefined)
      expect(written).toMatchObject({ done: true, exitCode: number });
  }
  expect(await linesOf(counter)).toEqual(Array.from({ length: 12 }, (_, index) => `${index + 1}`));
  let shown = '';
  for (let offset = 0; ; ) {
    const page = await call('session_read', { sessionId, offset, maxBytes: 20_000 });
    expect(numberAt(page, 'offset')).toBe(offset);
    shown += textAt(page, 'output');
    offset = numberAt(page, 'nextOffset');
    if (page['hasMore'] !== true) break;
  }
  expect(shown.match(/^\d+$/gm)?.map(Number)).toEqual(
    Array.from({ length: 12 * 2000 }, (_, index) => (index % 2000) + 1),
  );

  const project = path.join(workspace, 'project');
  await mkdir(path.join(project, 'sub'), { recursive: true });
  await writeFile(path.join(project, 'big.bin'), bytesFrom(SEED, 3 << 20));
  for (let index = 0; index < 50; index += 1)
    await writeFile(path.join(project, 'sub', `${index}.txt`), `file ${index}\n`.repeat(50));
  const sent = await call('sync_files', { profileId, localPath: 'project', remotePath: 'project' });
  expect(sent).toMatchObject({ verified: true });
  expect(await hashesOf(path.join(sshd.home, 'project'))).toEqual(await hashesOf(project));

  const ran = path.join(sshd.home, 'job-counter');
  const started = await call(
    'job_start',
    {
      profileId,
      command:
        'echo once >>"$HOME/job-counter"; mkdir out; head -c 3000000 project/big.bin >out/part.bin; cp -r project/sub out/; exit 3',
      artifacts: ['out'],
    },
    async () => (await linesOf(ran)).length === 0,
  );
  const jobId = textAt(started, 'jobId');
  await expect
    .poll(async () => (await call('job_wait', { jobId, waitSeconds: 10 }))['exitCode'], {
      timeout: 60_000,
    })
    .toBe(3);
  expect(await linesOf(ran)).toEqual(['once']);
  await call('fetch_artifacts', { jobId, localPath: 'results', verify: 'hash' });
  expect(await hashesOf(path.join(workspace, 'results/out'))).toEqual(
    await hashesOf(path.join(sshd.home, 'out')),
  );
  expect(proxy.carried().links).toBeGreaterThan(4);
  expect(codes.length).toBeLessThan(12);
  expect(server.noise).toEqual([]);
});

it('while nobody answers every tool ends in time, and says how old its news is', async () => {
  const { server, proxy, call } = await openDesk();
  const profileId = 'lab';
  const sessionId = textAt(await call('session_open', { profileId }), 'sessionId');
  await call('session_write', { sessionId, input: 'echo here' });
  const { jobId } = await call('job_start', { profileId, command: 'sleep 300' });
  proxy.newLinks = 'silent';
  proxy.strikeAll({ kind: 'silence' });
  const before = performance.now();
  const timed = async (
    work: ReturnType<BuiltServer['tool']>,
  ): Promise<{ words: string; seconds: number }> => {
    const { isError, data } = await work;
    const words = String(isError ? data['code'] : (data['state'] ?? data['status']));
    return { words, seconds: (performance.now() - before) / 1000 };
  };
  const [read, wait, session] = await Promise.all([
    timed(server.tool('session_read', { sessionId, waitSeconds: 2 })),
    timed(server.tool('job_wait', { jobId, waitSeconds: 2 })),
    timed(server.tool('session_write', { sessionId, input: 'echo never', waitSeconds: 2 })),
  ]);
  expect(read.words).toBe('unreachable');
  expect(wait.words).toBe('running_unreachable');
  expect(session.words).toMatch(/^(ssh_unreachable|link_lost|unreachable)$/);
  expect(read.seconds).toBeLessThan(12);
  expect(wait.seconds).toBeLessThan(75);
  expect(session.seconds).toBeLessThan(32);
  proxy.newLinks = 'pass';
  const written = await call('session_write', { sessionId, input: 'echo back', waitSeconds: 20 });
  expect(textAt(written, 'output')).toBe('back\n');
  await call('job_cancel', { jobId });
});
