import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { CancelledError, RemoteError } from '../../src/core/errors.ts';
import type { ExecOptions, ExecResult, Remote, StreamOptions } from '../../src/core/remote.ts';

/**
 * A `Remote` without SSH: real `sh`, real files, real processes below `home` on this machine. For fast tests of what runs
 * on a pod; everything that must hold over SSH is tested again over SSH. `down = true` cuts the link.
 */
export function createShellRemote(home: string): Remote & { down: boolean } {
  const start = async (script: string) => {
    if (remote.down) throw new RemoteError('ssh_unreachable', 'The link is down.');
    await mkdir(home, { recursive: true });
    return spawn('sh', ['-c', script], {
      cwd: home,
      env: { PATH: process.env['PATH'], HOME: home, LANG: 'C.UTF-8' },
      detached: true,
    });
  };
  const guard = (
    child: Awaited<ReturnType<typeof start>>,
    { signal, timeoutSeconds }: ExecOptions | StreamOptions,
  ) => {
    let why: 'abort' | 'timeout' | undefined;
    const end = (reason: 'abort' | 'timeout') => (): void => {
      why ??= reason;
      if (child.pid !== undefined)
        try {
          process.kill(-child.pid, 'SIGKILL');
        } catch {
          // already gone
        }
    };
    const timer = setTimeout(end('timeout'), timeoutSeconds * 1000);
    const onAbort = end('abort');
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    return () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      if (why === 'timeout') throw new RemoteError('command_timeout', 'Took too long.');
      if (why === 'abort') throw new CancelledError('cancelled', 'Cancelled.');
    };
  };
  const remote: Remote & { down: boolean } = {
    down: false,
    async exec(_podId, script, options): Promise<ExecResult> {
      const child = await start(script);
      const done = guard(child, options);
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
      child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
      child.stdin.on('error', () => undefined);
      child.stdin.end(options.stdin ?? '');
      const [code] = (await once(child, 'close')) as [number | null];
      done();
      const max = options.maxBytes ?? 1 << 20;
      const stdout = Buffer.concat(out);
      const stderr = Buffer.concat(err);
      return {
        exitCode: code ?? 255,
        stdout: stdout.subarray(0, max),
        stderr: stderr.subarray(0, max),
        droppedBytes: Math.max(0, stdout.length - max) + Math.max(0, stderr.length - max),
      };
    },
    async stream(_podId, script, options) {
      const child = await start(script);
      const done = guard(child, options);
      const err: Buffer[] = [];
      child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
      child.stdin.on('error', () => undefined);
      const closed = once(child, 'close') as Promise<[number | null]>;
      const flows: Promise<unknown>[] = [];
      if (options.stdin === undefined) child.stdin.end();
      else flows.push(pipeline(options.stdin, child.stdin).catch(() => undefined));
      if (options.stdout === undefined) child.stdout.resume();
      else flows.push(pipeline(child.stdout, options.stdout));
      await Promise.all(flows);
      const [code] = await closed;
      done();
      return { exitCode: code ?? 255, stderr: Buffer.concat(err) };
    },
    workFolder: async () => Promise.resolve(home),
    disconnect: async () => Promise.resolve(),
    async [Symbol.asyncDispose]() {
      return Promise.resolve();
    },
  };
  return remote;
}
