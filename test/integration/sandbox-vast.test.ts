import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startVastSandbox, type VastSandbox } from '../support/vast-sandbox.ts';

const run = promisify(execFile);
type Loose = Record<string, unknown>;

let folder: string;
let keyPath: string;
let publicKey: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-vast-key-'));
  keyPath = path.join(folder, 'id');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'me', '-f', keyPath]);
  publicKey = (await readFile(`${keyPath}.pub`, 'utf8')).trim();
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

async function call(sandbox: VastSandbox, line: string, body?: unknown): Promise<Loose> {
  const [method = 'GET', target = '/'] = line.split(' ');
  const answer = await fetch(`${sandbox.url}${target}`, {
    method,
    headers: {
      authorization: `Bearer ${sandbox.apiKey}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return (await answer.json()) as Loose;
}
async function rent(sandbox: VastSandbox, body: Loose = {}, filters: Loose = {}): Promise<number> {
  const { offers } = await call(sandbox, 'POST /api/v0/bundles/', {
    direct_port_count: { gte: 2 },
    disk_space: { gte: 200 },
    ...filters,
    order: [['dph_total', 'asc']],
  });
  const [offer] = offers as Loose[];
  const made = await call(sandbox, `PUT /api/v0/asks/${String(offer?.['id'])}/`, {
    image: 'pytorch/pytorch',
    disk: 64,
    runtype: 'ssh_direct',
    label: 'job-1',
    ...body,
  });
  expect(made['success']).toBe(true);
  return made['new_contract'] as number;
}
const show = async (sandbox: VastSandbox, id: number): Promise<Loose> =>
  (await call(sandbox, `GET /api/v0/instances/${id}/`))['instances'] as Loose;
const directPort = (row: Loose): number =>
  Number((row['ports'] as Record<string, { HostPort: string }[]>)['22/tcp']?.[0]?.HostPort);

async function ssh(port: number, command: string): Promise<string> {
  const { stdout } = await run(
    'ssh',
    [
      ...['-F', '/dev/null', '-i', keyPath, '-p', String(port)],
      ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
      ...['-o', 'BatchMode=yes', '-o', 'ConnectTimeout=3', '-o', 'LogLevel=ERROR'],
      ...['root@127.0.0.1', command],
    ],
    { maxBuffer: 1 << 24 },
  );
  return stdout;
}
async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + 30_000;
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error('It never came true.');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('an instance of the fake Vast.ai', () => {
  it('is a real machine behind its direct port and behind the proxy, seconds after it runs (vast.md 16.19)', async () => {
    await using sandbox = await startVastSandbox({ speed: 0, vast: { bootSeconds: 60 } });
    await call(sandbox, 'POST /api/v0/ssh/', { ssh_key: publicKey });
    const id = await rent(sandbox, {
      onstart: 'echo "$CONTAINER_ID $VAST_CONTAINERLABEL $TOKEN_X" > ~/seen; echo hello from boot',
      env: { TOKEN_X: 'abc', '-p 8080:8080': '1' },
    });
    await sandbox.clock.advance(61);
    const row = await show(sandbox, id);
    expect(row['actual_status']).toBe('running');
    // It runs, and SSH is not there yet.
    await expect(ssh(directPort(row), 'true')).rejects.toThrow();
    await sandbox.clock.advance(5);
    const seen = await until(async () => ssh(directPort(row), 'cat ~/seen'));
    expect(seen.trim()).toBe(`${id} C.${id} abc`);
    expect(await ssh(Number(row['ssh_port']), 'echo by proxy')).toBe('by proxy\n');
    expect(await ssh(directPort(row), 'nvidia-smi -L')).toContain(String(row['gpu_name']));
    const { result_url: url } = await call(sandbox, `PUT /api/v0/instances/request_logs/${id}/`, {
      tail: '50',
    });
    const log = await until(async () => {
      const answer = await fetch(String(url));
      return answer.status === 200 ? answer.text() : undefined;
    });
    expect(log).toContain('hello from boot');
    await call(sandbox, `DELETE /api/v0/instances/${id}/`, {});
    expect(await show(sandbox, id)).toBeNull();
    await until(async () =>
      ssh(directPort(row), 'true').then(
        () => undefined,
        () => true,
      ),
    );
    expect(sandbox.books().billingCount).toBe(0);
  });

  it('knows a key that is attached while it runs, and not one that was put on the account (vast.md 10)', async () => {
    await using sandbox = await startVastSandbox({ speed: 0, vast: { bootSeconds: 10 } });
    const id = await rent(sandbox);
    await call(sandbox, 'POST /api/v0/ssh/', { ssh_key: publicKey });
    await sandbox.clock.advance(20);
    const port = directPort(await show(sandbox, id));
    await until(async () => {
      const state = await sandbox.machines.look(`vast-${id}`);
      return state.status === 'running' ? true : undefined;
    });
    await expect(ssh(port, 'true')).rejects.toThrow(/Permission denied/);
    await call(sandbox, `POST /api/v0/instances/${id}/ssh/`, { ssh_key: publicKey });
    await expect(ssh(port, 'true')).rejects.toThrow(/Permission denied/);
    await sandbox.clock.advance(3);
    expect(await until(async () => ssh(port, 'echo in'))).toBe('in\n');
  });

  it('charges what goes in and out at the prices of its host (vast.md 15)', async () => {
    await using sandbox = await startVastSandbox({ speed: 0, vast: { bootSeconds: 10 } });
    await call(sandbox, 'POST /api/v0/ssh/', { ssh_key: publicKey });
    const id = await rent(sandbox, {}, { inet_up_cost: { gt: 0.001 }, inet_down_cost: { gt: 0 } });
    await sandbox.clock.advance(20);
    const row = await show(sandbox, id);
    const before = sandbox.books().spentUsd;
    const bytes = 3_000_000;
    const out = await until(async () => ssh(directPort(row), `head -c ${bytes} /dev/zero`));
    expect(out).toHaveLength(bytes);
    const spent = await until(async () => {
      const now = sandbox.books().spentUsd - before;
      return Promise.resolve(now > 0 ? now : undefined);
    });
    const atLeast = (bytes / 1e9) * Number(row['inet_up_cost']);
    expect(spent).toBeGreaterThan(atLeast * 0.99);
    expect(spent).toBeLessThan(atLeast * 1.5);
    const day = { day: { gte: 0, lte: 4_000_000_000 } };
    const charges = await call(
      sandbox,
      `GET /api/v0/charges/?select_filters=${encodeURIComponent(JSON.stringify(day))}`,
    );
    const [charge] = charges['results'] as Loose[];
    expect((charge?.['items'] as Loose[]).map(({ type }) => type)).toEqual([
      'gpu',
      'disk',
      'bwu',
      'bwd',
    ]);
  });

  it('keeps its files over a reboot and a stop, and loses them when it is recycled (vast.md 7)', async () => {
    await using sandbox = await startVastSandbox({ speed: 0, vast: { bootSeconds: 10 } });
    await call(sandbox, 'POST /api/v0/ssh/', { ssh_key: publicKey });
    const id = await rent(sandbox, { onstart: 'echo start >> ~/starts' });
    await sandbox.clock.advance(20);
    const port = directPort(await show(sandbox, id));
    const read = async (name: string) =>
      until(async () => ssh(port, `cat ~/${name} 2>/dev/null; true`));
    await until(async () => ssh(port, 'echo kept > ~/file'));
    await call(sandbox, `PUT /api/v0/instances/reboot/${id}/`, {});
    await sandbox.clock.advance(20);
    expect(await read('file')).toBe('kept\n');
    await call(sandbox, `PUT /api/v0/instances/${id}/`, { state: 'stopped' });
    await sandbox.clock.advance(10);
    await expect(ssh(port, 'true')).rejects.toThrow();
    await call(sandbox, `PUT /api/v0/instances/${id}/`, { state: 'running' });
    await sandbox.clock.advance(20);
    expect(await read('file')).toBe('kept\n');
    // The boot script runs at every start.
    await until(async () =>
      (await read('starts')) === 'start\nstart\nstart\n' ? true : undefined,
    );
    await call(sandbox, `PUT /api/v0/instances/recycle/${id}/`, {});
    await sandbox.clock.advance(20);
    expect(await read('file')).toBe('');
    await until(async () => ((await read('starts')) === 'start\n' ? true : undefined));
  });
});

describe('a bad host of the fake Vast.ai', () => {
  const open = async (kind: string, value?: number | string) => {
    const sandbox = await startVastSandbox({
      speed: 0,
      vast: { bootSeconds: 10 },
      faults: [{ kind, times: 1, ...(value === undefined ? {} : { value }) }],
    });
    await call(sandbox, 'POST /api/v0/ssh/', { ssh_key: publicKey });
    const id = await rent(sandbox, { env: { '-p 8080:8080': '1' } });
    await sandbox.clock.advance(20);
    const row = await show(sandbox, id);
    await until(async () => {
      const state = await sandbox.machines.look(`vast-${id}`);
      return state.status === 'running' ? true : undefined;
    });
    return {
      sandbox,
      direct: directPort(row),
      proxy: Number(row['ssh_port']),
      [Symbol.asyncDispose]: async () => sandbox[Symbol.asyncDispose](),
    };
  };

  it.each([
    ['ssh-nowhere', /refused/, /refused/],
    ['direct-dead', /refused/, undefined],
    ['proxy-dead', undefined, /refused/],
    ['ssh-refuses-key', /Permission denied/, /Permission denied/],
    ['ssh-mute', /timed out/, /timed out/],
  ])('%s', async (kind, direct, proxy) => {
    await using host = await open(kind);
    for (const [port, words] of [
      [host.direct, direct],
      [host.proxy, proxy],
    ] as const)
      if (words === undefined) expect(await ssh(port, 'echo in')).toBe('in\n');
      else await expect(ssh(port, 'true')).rejects.toThrow(words);
  });

  it('may let nobody in for a while', async () => {
    await using host = await open('ssh-late', 100);
    await expect(ssh(host.direct, 'true')).rejects.toThrow(/reset|closed/);
    await host.sandbox.clock.advance(100);
    expect(await ssh(host.direct, 'echo in')).toBe('in\n');
  });

  it('shows another GPU, or fewer, than were sold', async () => {
    const query = 'nvidia-smi --query-gpu=name,memory.total --format=csv,noheader,nounits';
    await using wrong = await open('wrong-gpu', 'RTX 3060');
    expect(await ssh(wrong.direct, query)).toMatch(/RTX 3060, 12288/);
    await using fewer = await open('fewer-gpus', 0);
    expect(await ssh(fewer.direct, `${query} || true`)).not.toContain('RTX');
  });
});
