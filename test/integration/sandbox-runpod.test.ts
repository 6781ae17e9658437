import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { poll } from '../../src/core/poll.ts';
import { type RunpodSandbox, startRunpodSandbox } from '../support/runpod-sandbox.ts';

const run = promisify(execFile);
const { signal } = new AbortController();
const RTX_4090 = 'NVIDIA GeForce RTX 4090';

interface Shown {
  readonly status: string;
  readonly ssh: { readonly direct: { readonly host: string; readonly port: number } | null };
}
async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const seen = await poll(look, {
    clock: systemClock,
    signal,
    timeoutSeconds: 40,
    everySeconds: 0.1,
  });
  if (seen === undefined) throw new Error('It did not come.');
  return seen;
}
async function rest<T>(
  { restV2Url, apiKey }: RunpodSandbox,
  line: string,
  body?: unknown,
): Promise<T> {
  const [method = 'GET', target = ''] = line.split(' ');
  const answer = await fetch(`${restV2Url}${target}`, {
    method,
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}
async function key(folder: string): Promise<{ readonly file: string; readonly text: string }> {
  const file = path.join(folder, 'id');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', file]);
  return { file, text: (await readFile(`${file}.pub`, 'utf8')).trim() };
}
const ssh = async (file: string, { host, port }: { host: string; port: number }, command: string) =>
  run('ssh', [
    ...['-i', file, '-p', String(port), '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes'],
    ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
    ...['-o', 'LogLevel=ERROR', `root@${host}`, command],
  ]);

describe('a pod of the fake RunPod', () => {
  it('is reached with the real ssh by its public port, knows who it is, keeps its volume over a stop, and ends itself', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-runpod-ssh-'));
    await using sandbox = await startRunpodSandbox({ speed: 30 });
    try {
      const { file, text } = await key(folder);
      await rest(sandbox, 'PUT /account/ssh-keys', { keys: [text] });
      const { id } = await rest<{ id: string }>(sandbox, 'POST /pods', {
        name: 'one',
        image: 'runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404',
        gpu: { id: RTX_4090, count: 2 },
        ports: ['22/tcp'],
        mounts: { persistent: { size: 20, path: '/workspace' } },
        startSsh: true,
        args: 'bash -c \'echo "$RUNPOD_POD_ID $RUNPOD_API_KEY" >"$HOME/who"; echo booted; exec /start.sh\'',
      });
      const direct = async () =>
        until(async () => {
          const shown = await rest<Shown>(sandbox, `GET /pods/${id}`);
          return shown.ssh.direct ?? undefined;
        });
      const command = async (line: string): Promise<string> =>
        until(async () => {
          const at = await direct();
          return ssh(file, at, line).then(
            ({ stdout }) => stdout.trim(),
            () => undefined,
          );
        });
      const names = await command('nvidia-smi --query-gpu=name --format=csv,noheader');
      expect(names.split('\n')).toEqual([RTX_4090, RTX_4090]);
      const who = await until(async () => (await command('cat ~/who')) || undefined);
      expect(who).toBe(`${id} ${sandbox.cloud.pods.get(id)?.apiKey ?? ''}`);
      await command('echo kept >~/data');

      const first = await direct();
      await rest(sandbox, `POST /pods/${id}/action`, { action: 'stop' });
      await until(async () => {
        const { status } = await rest<Shown>(sandbox, `GET /pods/${id}`);
        return status === 'EXITED' ? true : undefined;
      });
      await rest(sandbox, `POST /pods/${id}/action`, { action: 'start' });
      const second = await until(async () => {
        const shown = await rest<Shown>(sandbox, `GET /pods/${id}`);
        return shown.status === 'RUNNING' ? (shown.ssh.direct ?? undefined) : undefined;
      });
      expect(second.port).not.toBe(first.port);
      expect(await command('cat ~/data')).toBe('kept');

      // The log stream is open until somebody hangs up.
      const reading = new AbortController();
      const logs = await fetch(`${sandbox.restV2Url}/pods/${id}/logs?source=container`, {
        headers: { authorization: `Bearer ${sandbox.apiKey}` },
        signal: reading.signal,
      });
      expect(logs.headers.get('content-type')).toBe('text/event-stream');
      let said = '';
      const decoder = new TextDecoder();
      for await (const part of logs.body ?? []) {
        said += decoder.decode(part as Uint8Array, { stream: true });
        if (said.includes('booted')) break;
      }
      reading.abort();
      expect(said).toMatch(/^data: \{"ts":"[^"]+","source":"container","line":"booted"\}$/m);

      // With the key that was put into the pod.
      const [, own = ''] = who.split(' ');
      const ended = await fetch(sandbox.graphqlUrl, {
        method: 'POST',
        headers: { authorization: `Bearer ${own}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          query: 'mutation End($id: String!) { podTerminate(input: { podId: $id }) }',
          variables: { id },
        }),
      });
      expect(await ended.json()).toEqual({ data: { podTerminate: null } });
      expect(sandbox.books().billingCount).toBe(0);
      expect(sandbox.books().instances[0]).toMatchObject({ state: 'destroyed' });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('has no SSH server where its start command starts none (runpod.md 5.2, 5.3)', async () => {
    await using sandbox = await startRunpodSandbox({ speed: 60 });
    const order = {
      gpu: { id: RTX_4090, count: 1 },
      ports: ['22/tcp'],
      startSsh: true,
      env: { PUBLIC_KEY: `ssh-ed25519 ${'A'.repeat(68)} x` },
    };
    const { id } = await rest<{ id: string }>(sandbox, 'POST /pods', {
      ...order,
      name: 'other',
      image: 'someone/image:1',
    });
    const at = await until(async () => {
      const { ssh: way } = await rest<Shown>(sandbox, `GET /pods/${id}`);
      return way.direct ?? undefined;
    });
    await sandbox.clock.advance(60);
    // The mapping is there and nobody listens behind it.
    const scan = run('ssh-keyscan', ['-T', '2', '-p', String(at.port), at.host]);
    const seen = await scan.then(
      ({ stdout }) => stdout,
      () => '',
    );
    expect(seen).toBe('');
  });
});
