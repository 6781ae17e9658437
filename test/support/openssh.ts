import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { SshEndpoint } from '../../src/core/machine.ts';

export interface Ended {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface OpenSshClient {
  /** `flags` come before the destination. */
  startSsh(command: string | undefined, flags?: readonly string[]): ChildProcessWithoutNullStreams;
  ssh(command: string, stdin?: Buffer | string, flags?: readonly string[]): Promise<Ended>;
  sftp(batch: string): Promise<Ended>;
  /** `remote` paths are written `pod:path`. */
  scp(...args: readonly string[]): Promise<Ended>;
}

/** The real OpenSSH client programs, with nothing of the person's own configuration. */
export function openSshClient(
  endpoint: SshEndpoint,
  keyPath = endpoint.keyPath ?? '',
): OpenSshClient {
  const { host, port, user, podId } = endpoint;
  const options = [
    ['-F', 'none'],
    ['-i', keyPath],
    ...[
      'IdentitiesOnly=yes',
      'BatchMode=yes',
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      `HostKeyAlias=${podId.replace(':', '-')}`,
      'LogLevel=ERROR',
      'ConnectTimeout=10',
    ].map((option) => ['-o', option]),
  ].flat();
  const start = (program: string, args: readonly string[]): ChildProcessWithoutNullStreams =>
    spawn(program, [...options, ...args]);
  return {
    /** `flags` come before the destination. */
    startSsh: (command: string | undefined, flags: readonly string[] = []) =>
      start('ssh', [
        '-p',
        String(port),
        ...flags,
        `${user}@${host}`,
        ...(command === undefined ? [] : [command]),
      ]),
    ssh: async (command: string, stdin: Buffer | string = '', flags: readonly string[] = []) =>
      ended(start('ssh', ['-p', String(port), ...flags, `${user}@${host}`, command]), stdin),
    sftp: async (batch: string) =>
      ended(start('sftp', ['-P', String(port), '-b', '-', `${user}@${host}`]), batch),
    /** `remote` paths are written `pod:path`. */
    scp: async (...args: readonly string[]) =>
      ended(
        start('scp', [
          '-P',
          String(port),
          ...args.map((argument) => argument.replace(/^pod:/, `${user}@${host}:`)),
        ]),
        '',
      ),
  };
}

export async function ended(
  child: ChildProcessWithoutNullStreams,
  stdin: Buffer | string,
): Promise<Ended> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() };
}
