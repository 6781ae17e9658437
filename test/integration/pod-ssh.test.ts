import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ssh2, { type ClientChannel } from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { poll } from '../../src/core/poll.ts';
import { type EmbeddedPod, makeClientKey, startEmbeddedPod } from '../support/embedded-pod.ts';
import { openSshClient } from '../support/openssh.ts';

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const { signal } = new AbortController();
const until = async (holds: () => Promise<boolean>): Promise<void> => {
  const look = async () => ((await holds()) ? true : undefined);
  const options = { clock: systemClock, signal, timeoutSeconds: 15, everySeconds: 0.05 };
  if (!(await poll(look, options))) throw new Error('It did not come to that.');
};

describe('an embedded pod and the OpenSSH client', () => {
  let pod: EmbeddedPod;
  let client: ReturnType<typeof openSshClient>;
  let folder: string;
  beforeAll(async () => {
    pod = await startEmbeddedPod({
      env: { GREETING: "a 'b' $c" },
      setup: 'echo preparing; echo trouble >&2; touch prepared; exit 3',
    });
    client = openSshClient(pod.endpoint);
    folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-ssh-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await pod[Symbol.asyncDispose]();
  });

  it('runs a command: output, error output, exit code, input', async () => {
    const result = await client.ssh('cat; echo bad >&2; exit 7', 'some input');
    expect(result).toMatchObject({ code: 7, stderr: 'bad\n' });
    expect(result.stdout.toString()).toBe('some input');
  });

  it('the home is the folder, and the variables asked for are there', async () => {
    const result = await client.ssh('pwd; printf "%s\\n" "$HOME" "$GREETING" "$GPU_LEASE_POD"');
    expect(result.stdout.toString().split('\n')).toEqual([
      pod.home,
      pod.home,
      "a 'b' $c",
      pod.token,
      '',
    ]);
  });

  it('takes variables from the client, but never its own', async () => {
    const flags = ['-o', 'SetEnv=FROM_CLIENT=yes'];
    const taken = await client.ssh('echo "$FROM_CLIENT"', '', flags);
    expect(taken.stdout.toString()).toBe('yes\n');
    const kept = await client.ssh('echo "$GPU_LEASE_POD"', '', [
      '-o',
      'SetEnv=GPU_LEASE_POD=stolen',
    ]);
    expect(kept.stdout.toString()).toBe(`${pod.token}\n`);
  });

  it('hands on nothing of the environment around it but what every machine has', async () => {
    const names = (await client.ssh('env')).stdout
      .toString()
      .split('\n')
      .map((line) => line.split('=')[0]);
    expect(names).toContain('PATH');
    expect(names.filter((name) => /^(?:npm_|VITEST|NODE)/.test(name ?? ''))).toEqual([]);
  });

  it('the boot script ran once in the home; its output and exit code are kept', async () => {
    await until(async () => (await pod.state())?.setupExitCode !== undefined);
    expect((await pod.state())?.setupExitCode).toBe(3);
    const log = await client.ssh('cat .gpu-lease/bootstrap.log; ls prepared');
    expect(log.stdout.toString()).toBe('preparing\ntrouble\nprepared\n');
  });

  it('tells a signal from an exit code', async () => {
    const result = await client.ssh('kill -TERM $$');
    expect(result.code).toBe(255);
    const code = await client.ssh('sh -c "kill -TERM \\$\\$"; exit $?');
    expect(code.code).toBe(143);
  });

  it('refuses a key it was not given, and a login without a key', async () => {
    const wrongKey = path.join(folder, 'wrong');
    await makeClientKey(wrongKey);
    const wrong = await openSshClient(pod.endpoint, wrongKey).ssh('echo in');
    expect(wrong.code).toBe(255);
    expect(wrong.stderr).toContain('Permission denied (publickey)');
    expect(wrong.stdout.toString()).toBe('');
  });

  it('refuses a right public key that is not proven by its private half', async () => {
    const stranger = path.join(folder, 'stranger');
    await makeClientKey(stranger);
    // The public half of the right key beside the wrong private one: the offer is fine, the signature is not.
    await writeFile(`${stranger}.pub`, await readFile(`${pod.endpoint.keyPath ?? ''}.pub`));
    const result = await openSshClient(pod.endpoint, stranger).ssh('echo in');
    expect(result.code).toBe(255);
    expect(result.stdout.toString()).toBe('');
  });

  it('carries 50 MB of binary data through a command and back, byte for byte', async () => {
    const bytes = randomBytes(50 * 1024 * 1024);
    const result = await client.ssh('cat', bytes);
    expect(result.code).toBe(0);
    expect(result.stdout.length).toBe(bytes.length);
    expect(sha256(result.stdout)).toBe(sha256(bytes));
  });

  it('loses nothing when both outputs are large and the client is slow', async () => {
    const half = 6_000_000;
    const child = client.startSsh(
      `head -c ${half} /dev/zero & head -c ${half} /dev/zero | tr '\\0' e >&2; wait`,
    );
    child.stdin.end();
    let out = 0;
    let err = 0;
    let wrong = 0;
    await new Promise((resolve) => setTimeout(resolve, 300));
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.length;
      if (chunk.includes(0x65)) wrong += 1;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.length;
      if (chunk.includes(0)) wrong += 1;
    });
    const [code] = (await once(child, 'close')) as [number];
    expect({ code, out, err, wrong }).toEqual({ code: 0, out: half, err: half, wrong: 0 });
  });

  it('a terminal has the size of the client, and follows it', async () => {
    const connection = await connected(pod);
    try {
      const channel = await opened((done) => {
        connection.exec(
          'stty size; trap "stty size; exit 5" WINCH; echo ready; while :; do sleep 0.05; done',
          { pty: { rows: 33, cols: 111, term: 'xterm-256color' } },
          done,
        );
      });
      const seen = collected(channel);
      await until(async () => Promise.resolve(seen().includes('ready')));
      channel.setWindow(44, 122, 0, 0);
      const [[code]] = (await Promise.all([once(channel, 'exit'), once(channel, 'close')])) as [
        [number],
        unknown,
      ];
      expect(seen()).toContain('33 111');
      expect(seen()).toContain('44 122');
      expect(code).toBe(5);
    } finally {
      connection.end();
    }
  });

  it('Ctrl-C reaches the program in the foreground, and the shell lives on', async () => {
    const connection = await connected(pod);
    try {
      const channel = await opened((done) => {
        connection.shell({ rows: 24, cols: 80 }, done);
      });
      const seen = collected(channel);
      channel.write('echo started; sleep 1000; echo "status $?"\n');
      await until(async () => {
        const running = await client.ssh('ps -eo args | grep -c "^sleep 1000$" || true');
        return running.stdout.toString() === '1\n';
      });
      channel.write('\x03');
      channel.write('echo alive $((6*7))\n');
      await until(async () => Promise.resolve(seen().includes('alive 42')));
      channel.write('exit 9\n');
      const [code] = (await once(channel, 'exit')) as [number];
      expect(code).toBe(9);
      const left = await client.ssh('ps -eo args | grep -c "^sleep 1000$" || true');
      expect(left.stdout.toString()).toBe('0\n');
    } finally {
      connection.end();
    }
  });

  it('sends all that a terminal still holds before the exit code', async () => {
    const result = await client.ssh('seq 1 200000; exit 4', '', ['-tt']);
    expect(result.code).toBe(4);
    const lines = result.stdout.toString().trimEnd().split('\r\n');
    expect(lines).toHaveLength(200_000);
    expect(lines.at(-1)).toBe('200000');
  });

  it('a signal over the channel reaches the whole group, also when the input has ended', async () => {
    const connection = await connected(pod);
    try {
      const channel = await opened((done) => {
        connection.exec('sleep 2000 & echo ready; wait', done);
      });
      const seen = collected(channel);
      await until(async () => Promise.resolve(seen().includes('ready')));
      channel.end();
      // This client sends no signals of its own accord after the end of the input; others do.
      const { outgoing } = channel as unknown as { outgoing: { id: number } };
      const { _protocol: protocol } = connection as unknown as {
        _protocol: { signal: (id: number, name: string) => void };
      };
      protocol.signal(outgoing.id, 'TERM');
      const [code, name] = (await once(channel, 'exit')) as [number | null, string];
      expect({ code, name }).toEqual({ code: null, name: 'SIGTERM' });
      await until(async () => {
        const left = await client.ssh('ps -eo args | grep -c "^sleep 2000$" || true');
        return left.stdout.toString() === '0\n';
      });
    } finally {
      connection.end();
    }
  });

  it('a command without a terminal outlives its connection, as with sshd', async () => {
    const child = client.startSsh('echo ready; sleep 1; echo survived > survived');
    child.stdin.end();
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await until(async () => (await client.ssh('cat survived')).stdout.toString() === 'survived\n');
  });

  it('a terminal whose client is gone is hung up', async () => {
    const child = client.startSsh('echo ready; exec sleep 3000', ['-tt']);
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await until(async () => {
      const left = await client.ssh('ps -eo args | grep -c "^sleep 3000$" || true');
      return left.stdout.toString() === '0\n';
    });
  });

  it('a client that reads nothing holds up nobody else', async () => {
    const stuck = client.startSsh('cat /dev/zero');
    stuck.stdin.end();
    await once(stuck.stdout, 'readable');
    stuck.kill('SIGSTOP');
    const started = performance.now();
    expect((await client.ssh('echo fine')).stdout.toString()).toBe('fine\n');
    expect(performance.now() - started).toBeLessThan(10_000);
    const memory = await readFile(`/proc/${await pod.pid()}/status`, 'utf8').catch(() => '');
    const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(memory)?.[1] ?? 0);
    expect(kilobytes).toBeLessThan(300_000);
    stuck.kill('SIGKILL');
    await once(stuck, 'close');
  });

  it('sftp: makes, lists, renames, reads, removes; keeps modes and times', async () => {
    const local = path.join(folder, 'local.bin');
    await writeFile(local, randomBytes(3_000_000), { mode: 0o640 });
    const put = await client.sftp(
      [
        'mkdir "a folder"',
        `put -p ${local} "a folder/one"`,
        'rename "a folder/one" "a folder/two"',
        'ls -la "a folder"',
        'pwd',
        `get -p "a folder/two" ${local}.back`,
        'chmod 600 "a folder/two"',
        'ln -s two "a folder/link"',
        'rm "a folder/link"',
        '-rm "a folder/missing"',
      ].join('\n'),
    );
    expect(put).toMatchObject({ code: 0, stderr: expect.not.stringContaining('two') as string });
    expect(put.stdout.toString()).toContain(`Remote working directory: ${pod.home}`);
    expect(put.stdout.toString()).toMatch(/-rw-r-----.*3000000.*two/);
    expect(sha256(await readFile(`${local}.back`))).toBe(sha256(await readFile(local)));
    const [before, after] = await Promise.all([stat(local), stat(`${local}.back`)]);
    expect(Math.floor(after.mtimeMs / 1000)).toBe(Math.floor(before.mtimeMs / 1000));
    expect((await stat(path.join(pod.home, 'a folder/two'))).mode & 0o777).toBe(0o600);
    const gone = await client.sftp('rm "a folder/two"\nrmdir "a folder"\nls "a folder"');
    expect(gone.code).toBe(1);
    expect(gone.stderr).toContain('not found');
  });

  it('scp copies a tree there and back, both protocols', async () => {
    const tree = path.join(folder, 'tree');
    await client.ssh(
      'mkdir -p made/deep; head -c 100000 /dev/urandom > made/deep/x; : > made/empty',
    );
    for (const protocol of [['-s'], ['-O']]) {
      const down = await client.scp(...protocol, '-rp', 'pod:made', tree);
      expect(down).toMatchObject({ code: 0, stderr: '' });
      expect(sha256(await readFile(path.join(tree, 'deep/x')))).toBe(
        sha256(await readFile(path.join(pod.home, 'made/deep/x'))),
      );
      const up = await client.scp(...protocol, '-r', tree, 'pod:again');
      expect(up).toMatchObject({ code: 0, stderr: '' });
      const compared = await client.ssh('diff -r made again && rm -r again');
      expect(compared.stdout.toString() + compared.stderr).toBe('');
      await rm(tree, { recursive: true });
    }
  });

  it('no scp loses a part of a file, however the disk answers', async () => {
    await client.ssh('head -c 1000000 /dev/urandom > big');
    const want = sha256(await readFile(path.join(pod.home, 'big')));
    const local = path.join(folder, 'big');
    for (let round = 0; round < 12; round += 1) {
      expect((await client.scp('-s', 'pod:big', local)).code).toBe(0);
      expect(sha256(await readFile(local))).toBe(want);
      expect((await client.scp('-s', local, 'pod:up')).code).toBe(0);
      expect(sha256(await readFile(path.join(pod.home, 'up')))).toBe(want);
    }
  });

  it('survives nonsense on its port', async () => {
    const { connect } = await import('node:net');
    for (const nonsense of [randomBytes(5000), Buffer.from('SSH-2.0-x\r\n'), Buffer.alloc(0)]) {
      const socket = connect(pod.endpoint.port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(Buffer.concat([nonsense, randomBytes(2000)]));
      socket.resetAndDestroy();
    }
    expect((await client.ssh('echo fine')).stdout.toString()).toBe('fine\n');
  });
});

async function connected(pod: EmbeddedPod): Promise<ssh2.Client> {
  const { host, port, user, keyPath = '' } = pod.endpoint;
  const connection = new ssh2.Client();
  const ready = once(connection, 'ready');
  connection.connect({ host, port, username: user, privateKey: await readFile(keyPath) });
  await ready;
  return connection;
}

async function opened(
  open: (done: (failure: Error | undefined, channel: ClientChannel) => void) => void,
): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    open((failure, channel) => {
      if (failure) reject(failure);
      else resolve(channel);
    });
  });
}

function collected(channel: ClientChannel): () => string {
  let text = '';
  channel.on('data', (chunk: Buffer) => (text += chunk.toString()));
  channel.stderr.resume();
  return () => text;
}
