import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { describe, expect, it } from 'vitest';
import { MAIN, processesBelow, sandbox, type ToolAnswer, textAt } from '../support/built-server.ts';
import { type Caller, finished, readyPod, started } from '../support/day.ts';
import { startSshd } from '../support/sshd.ts';

type Box = Awaited<ReturnType<typeof sandbox>>;
interface Served extends Caller, AsyncDisposable {
  readonly pid: number;
}

/** A value of this run, told by itself and by its codes, in one piece or from the half on. */
function secretOf(name: string): {
  readonly value: string;
  readonly tells: (text: string) => boolean;
} {
  const value = `${name}-${randomBytes(12).toString('hex')}-end`;
  const within = [0, 1, 2].map((before) =>
    Buffer.from(`${'x'.repeat(before)}${value}`)
      .toString('base64')
      .slice(8, 28),
  );
  const signs = [
    value,
    value.slice(0, 14),
    value.slice(-14),
    Buffer.from(value).toString('hex'),
    ...within,
  ];
  return { value, tells: (text) => signs.some((sign) => text.includes(sign)) };
}

const KINDS: readonly {
  readonly name: string;
  readonly open: (
    box: Box,
    client: Caller,
  ) => Promise<{
    readonly place: Record<string, string>;
    readonly folder: string;
    readonly end: (client: Caller) => Promise<void>;
  }>;
}[] = [
  {
    name: 'embedded pod',
    async open(box, client) {
      const podId = await readyPod(client);
      return {
        place: { podId },
        folder: path.join(box.home, 'pods'),
        end: async (last) => {
          expect(await last.call('destroy', { podId })).toMatchObject({ outcome: 'gone' });
        },
      };
    },
  },
  {
    name: 'OpenSSH',
    async open(_, client) {
      const sshd = await startSshd();
      const { host, port, user } = sshd.endpoint;
      const saved = await client.call('ssh_profile', {
        action: 'save',
        profileId: 'lab',
        sshCommand: `ssh -p ${port} -i ${sshd.keyPath} ${user}@${host}`,
      });
      expect(JSON.stringify(saved)).toContain('lab');
      return {
        place: { profileId: 'lab' },
        folder: sshd.home,
        end: async () => sshd[Symbol.asyncDispose](),
      };
    },
  },
];

describe.each(KINDS)('everything we write or say, on $name', ({ open }) => {
  it('tells no secret: at home, on the machine, to the client, to other programs [KE-11] [SC-02] [SC-03] [SC-05]', async () => {
    const [named, typed, given] = ['nam', 'typ', 'giv'].map(secretOf);
    if (named === undefined || typed === undefined || given === undefined) throw new Error('three');
    const all = [named, typed, given];
    const tells = (text: string): boolean => all.some((secret) => secret.tells(text));
    await using box = await sandbox();
    const said: string[] = [];
    const serve = async (env: Readonly<Record<string, string>>): Promise<Served> =>
      servedBy(box, env, said);
    const first = await serve({ FOO_SECRET: named.value });
    const machine = await open(box, first);
    const { place } = machine;

    const sessionId = textAt(await first.call('session_open', place), 'sessionId');
    await first.call('session_write', {
      sessionId,
      input: 'stty -echo; read -r token; stty echo; echo "it is $token"',
      waitSeconds: 0,
    });
    await first.call('session_write', { sessionId, input: typed.value, secret: true });
    await first.call('session_write', {
      sessionId,
      input: `export GIVEN=${given.value}`,
      secret: true,
    });
    await first.call('session_write', {
      sessionId,
      input:
        'echo "$GIVEN"; printf %s "$GIVEN" | base64 -w0; echo; printf %s "u:$GIVEN" | base64 -w0; echo; printf %s "$GIVEN" | od -An -tx1 | tr -d " \\n"; echo',
    });
    // The first half stands alone for a while.
    const halves = 'printf "%.14s" "$GIVEN"; sleep 1; printf "%s\\n" "${GIVEN#??????????????}"';
    await first.call('session_write', { sessionId, input: halves, waitSeconds: 0 });
    for (let look = 0; look < 20; look += 1) {
      const seen = await first.call('session_read', { sessionId, maxBytes: 25, waitSeconds: 1 });
      if (seen['state'] === 'idle' && seen['hasMore'] === false && seen['output'] === '') break;
    }

    const jobId = await started(first, {
      ...place,
      command:
        'echo "job says $FOO_SECRET"; printf %s "$FOO_SECRET" | base64 -w0; echo; echo "Error: bad token $FOO_SECRET" >&2; echo ok > out.txt; sleep 3; exit 3',
      smokeCommand: 'test -n "$FOO_SECRET"; sleep 1',
      secretEnv: ['FOO_SECRET'],
      artifacts: ['out.txt'],
    });
    // Programs other than the shell, the command and those that it starts: ours, on both sides.
    for (let round = 0; round < 5; round += 1)
      for (const pid of await processesBelow(machine.folder)) {
        const line = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
        const environ = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
        expect(tells(line), line).toBe(false);
        const isTheirs = /GPU_LEASE_(?:JOB|SESSION)=/.test(environ) || line.includes('/run.sh');
        if (!isTheirs) expect(tells(environ), line).toBe(false);
      }
    process.kill(first.pid, 'SIGKILL');

    // Neither the values nor the variable are known to this one.
    const next = await serve({});
    const ended = await finished(next, jobId);
    expect(ended).toMatchObject({ status: 'failed', exitCode: 3 });
    for (const stream of ['stdout', 'stderr', 'supervisor', 'bootstrap'])
      for (let offset = 0, more = true; more; ) {
        const page = await next.call('job_logs', { jobId, stream, offset, maxBytes: 40 });
        more = page['hasMore'] === true;
        offset = Number(page['nextOffset']);
      }
    for (let offset = 0, more = true; more; ) {
      const page = await next.call('session_read', {
        sessionId,
        offset,
        maxBytes: 60,
        format: 'raw',
      });
      more = page['hasMore'] === true;
      offset = Number(page['nextOffset']);
    }
    await next.tool('diagnose', { jobId });
    await next.tool('report', { jobId });
    await next.tool('list_pods', {});
    await next.tool('fetch_artifacts', { jobId, localPath: 'home' });
    // What programs printed lies on the machine as they printed it.
    const onMachine = await filesThat(machine.folder, tells);
    expect(
      onMachine.filter(
        (file) => !/\/(?:sessions\/[^/]+\/out|jobs\/[^/]+\/std(?:out|err))$/.test(file),
      ),
    ).toEqual([]);
    expect(onMachine.length).toBeGreaterThan(0);
    for (const folder of ['/dev/shm', '/tmp'])
      expect(await recentFilesThat(folder, tells)).toEqual([]);

    await next.call('session_close', { sessionId, force: true });
    await machine.end(next);
    await next[Symbol.asyncDispose]();
    expect(await filesThat(box.home, tells)).toEqual([]);
    expect(await filesThat(box.workspace, tells)).toEqual([]);
    expect(said.join('')).toContain('[redacted]');
    for (const text of said) expect(tells(text), text).toBe(false);
  });
});

async function servedBy(
  box: Box,
  env: Readonly<Record<string, string>>,
  said: string[],
): Promise<Served> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [MAIN],
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: box.home,
      GPU_LEASE_HOME: box.home,
      GPU_LEASE_WORKSPACE: box.workspace,
      GPU_LEASE_WATCHER: 'off',
      GPU_LEASE_LOG_LEVEL: 'debug',
      GPU_LEASE_PROGRESS_FILE: path.join(box.workspace, 'progress.jsonl'),
      ...env,
    },
    cwd: box.workspace,
    stderr: 'pipe',
  });
  transport.stderr?.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const client = new Client({ name: 'secrets', version: '1' });
  await client.connect(transport);
  const tool = async (name: string, args: Record<string, unknown> = {}): Promise<ToolAnswer> => {
    const result = (await client.callTool({ name, arguments: args })) as {
      isError?: boolean;
      structuredContent?: Record<string, unknown>;
      content: { text?: string }[];
    };
    said.push(JSON.stringify(result));
    return {
      isError: result.isError === true,
      data: result.structuredContent ?? {},
      text: result.content[0]?.text ?? '',
    };
  };
  return {
    pid: transport.pid ?? 0,
    tool,
    async call(name, args) {
      const answer = await tool(name, args);
      if (answer.isError) throw new Error(`${name}: ${answer.text}`);
      return answer.data;
    },
    [Symbol.asyncDispose]: async () => client.close(),
  };
}

/** Below `folder`, without the machines that lie there. */
async function filesThat(
  folder: string,
  tells: (text: string) => boolean,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isFile() || file.startsWith(path.join(folder, 'pods/'))) continue;
    if (tells(file) || tells(await readFile(file, 'latin1').catch(() => ''))) found.push(file);
  }
  return found;
}

/** Small files right in a folder of the system. */
async function recentFilesThat(
  folder: string,
  tells: (text: string) => boolean,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isFile()) {
      const file = path.join(folder, entry.name);
      if (tells(await readFile(file, 'latin1').catch(() => ''))) found.push(file);
    }
  return found;
}
