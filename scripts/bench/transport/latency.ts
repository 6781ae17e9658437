/* What one step of an agent waits for. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { Client, type ClientChannel } from 'ssh2';
import { systemClock } from '../../../src/core/call.ts';
import { textAt } from '../../../test/support/built-server.ts';
import { type Lab, type Link, type LinkName, linkWords, run } from './lab.ts';
import { type Row, seriesOf, takeTurns, versus } from './rows.ts';
import type { Scale } from './scale.ts';

const { signal } = new AbortController();
const EXEC = { signal, timeoutSeconds: 30 };
const PAUSE_SECONDS = 0.05;
const WITHOUT_WARM: object = { warmChannels: 0 };

/** A warm command, and one over a live connection alone, beside `ssh -S mux host true`. */
export async function commands(lab: Lab, name: LinkName, { commandRuns }: Scale): Promise<Row[]> {
  const link = await lab.link(name);
  const warm = lab.remote(link);
  const plain = lab.remote(link, WITHOUT_WARM);
  const exec = async (remote: typeof warm): Promise<void> => {
    const { exitCode } = await remote.exec(link.podId, 'true', EXEC);
    if (exitCode !== 0) throw new Error('true failed');
  };
  const took = await takeTurns(
    {
      warm: async () => exec(warm),
      plain: async () => exec(plain),
      mux: async () => run('ssh', [...link.mux, link.destination, 'true']),
    },
    { rounds: commandRuns, warmUp: 5, before: async () => systemClock.sleep(PAUSE_SECONDS, EXEC) },
  );
  const isNear = name === 'direct';
  const common = {
    link: linkWords[name],
    beside: '`ssh -S mux host true`',
    theirs: took.mux,
    unit: 'ms',
  } as const;
  return [
    versus({
      ...common,
      id: `command-warm-${name}`,
      work: 'one command, warm channel, p50',
      ours: took.warm,
      atLeast: isNear ? 8 : 2,
      how: 'in process, 50 ms apart',
    }),
    versus({
      ...common,
      id: `command-live-${name}`,
      work: 'one command, live connection without a warm channel, p50',
      ours: took.plain,
      atLeast: isNear ? 2.5 : 1.1,
      how: 'in process',
    }),
  ];
}

/** From no connection to the answer of a command. */
export async function firstCommand(lab: Lab, { rounds }: Scale): Promise<Row[]> {
  const link = await lab.link('direct');
  const remote = lab.remote(link);
  const server = await lab.server();
  const sshCommand = `ssh -p ${link.port} -i ${lab.sshd.keyPath} ${link.destination}`;
  let turn = 0;
  const took = await takeTurns(
    {
      exec: async () => {
        await remote.exec(link.podId, 'true', EXEC);
      },
      session: async () => {
        const profileId = `first-${turn}`;
        const sessionId = textAt(await server.call('session_open', { profileId }), 'sessionId');
        await server.call('session_write', { sessionId, input: 'true' });
      },
      ssh: async () => run('ssh', [...link.fresh, link.destination, 'true']),
      best: async () =>
        run('ssh', [
          ...link.fresh,
          ...['-o', 'KexAlgorithms=curve25519-sha256', '-c', 'aes128-gcm@openssh.com'],
          ...[link.destination, 'true'],
        ]),
    },
    {
      rounds: rounds * 2,
      async before(way) {
        if (way === 'exec') await remote.disconnect(link.podId);
        if (way !== 'session') return;
        turn += 1;
        await server.call('ssh_profile', {
          action: 'save',
          profileId: `first-${turn}`,
          sshCommand,
        });
      },
    },
  );
  const common = { link: linkWords.direct, unit: 'ms' } as const;
  return [
    versus({
      ...common,
      id: 'first-command',
      work: 'first command from nothing, p50',
      beside: '`ssh host true`',
      ours: took.exec,
      theirs: took.ssh,
      atLeast: 1.2,
      how: 'in process: `Remote.exec` after a hang-up',
    }),
    versus({
      ...common,
      id: 'first-command-best',
      work: 'the same',
      beside: '`ssh host true`, curve25519 and AES-GCM',
      ours: took.exec,
      theirs: took.best,
    }),
    versus({
      ...common,
      id: 'first-session',
      work: 'first command from nothing, p50, as `session_open` and `session_write`',
      beside: '`ssh host true`',
      ours: took.session,
      theirs: took.ssh,
      how: 'through the built server; a shell that stays is opened',
    }),
  ];
}

/** `session_write` until the exit code is known, over what one message and its echo take on the bare channel. */
export async function sessionWrite(lab: Lab, name: LinkName, scale: Scale): Promise<Row[]> {
  const link = await lab.link(name);
  const server = await lab.server();
  const { profileId } = link;
  const sessionId = textAt(await server.call('session_open', { profileId }), 'sessionId');
  await using echo = await echoChannel(lab, link);
  const took = await takeTurns(
    {
      write: async () => {
        const { exitCode } = await server.call('session_write', { sessionId, input: 'true' });
        if (exitCode !== 0) throw new Error('no exit code');
      },
      raw: async () => echo.roundTrip(),
    },
    { rounds: scale.commandRuns, warmUp: 5 },
  );
  await server.call('session_close', { sessionId, force: true });
  const [ours, theirs] = [took.write, took.raw].map((all) => seriesOf(all.map((s) => s * 1000)));
  if (ours === undefined || theirs === undefined) throw new Error('nothing was taken');
  return [
    {
      id: `session-write-${name}`,
      work: '`session_write` and exit code, p50 over the raw channel round trip',
      link: linkWords[name],
      beside: 'a byte and its echo over `cat` on one channel',
      target: { value: 5, unit: 'ms', atMost: true },
      figure: ours.median - theirs.median,
      unit: 'ms',
      ours,
      theirs,
      seriesUnit: 'ms',
      how: 'through the built server',
    },
  ];
}

/** A bare ssh2 channel with `cat` at its other end. */
async function echoChannel(
  { sshd }: Lab,
  { port }: Link,
): Promise<{ roundTrip(): Promise<void> } & AsyncDisposable> {
  const client = new Client();
  const sock = connect({ port, host: '127.0.0.1', noDelay: true });
  const { user: username } = sshd.endpoint;
  client.connect({
    sock,
    username,
    privateKey: readFileSync(sshd.keyPath),
    algorithms: { cipher: ['aes128-gcm@openssh.com'] },
  });
  await once(client, 'ready');
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    client.exec('exec cat', (failure, opened) => {
      if (failure === undefined) resolve(opened);
      else reject(failure);
    });
  });
  return {
    async roundTrip() {
      const answer = once(channel, 'data');
      channel.write('x');
      await answer;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(client, 'close');
      client.end();
      await closed;
    },
  };
}
