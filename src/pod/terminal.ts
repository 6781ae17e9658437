import type { ServerChannel } from 'ssh2';
import { systemClock } from '../core/call.ts';
import { sendSignal } from '../core/local-process.ts';
import { createChannelOutput } from './channel-output.ts';
import { type Running, signalGroup } from './command.ts';
import type { Environment } from './environment.ts';

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** Pause the terminal when the client is this far behind. */
const MOST_WAITING_BYTES = 1 << 20;
const SIGNAL_NAMES: Readonly<Record<number, string>> = {
  1: 'HUP',
  2: 'INT',
  3: 'QUIT',
  6: 'ABRT',
  8: 'FPE',
  9: 'KILL',
  11: 'SEGV',
  13: 'PIPE',
  14: 'ALRM',
  15: 'TERM',
};

/** Runs a program in a terminal of its own. A client that goes away hangs the terminal up, as with sshd. */
export async function runInTerminal(
  channel: ServerChannel,
  argv: { readonly file: string; readonly args: readonly string[] },
  place: { readonly home: string; readonly env: Environment; readonly term: string },
  size: TerminalSize,
): Promise<Running> {
  const { spawn } = await import('@lydell/node-pty');
  const terminal = spawn(argv.file, [...argv.args], {
    name: place.term,
    cols: size.columns,
    rows: size.rows,
    cwd: place.home,
    env: { ...place.env },
    encoding: null,
  });
  const output = createChannelOutput(channel);
  let waitingBytes = 0;
  let isPaused = false;
  let hasExited = false;
  let sent: Promise<unknown> = Promise.resolve();

  const resume = (): void => {
    if (!isPaused) return;
    isPaused = false;
    terminal.resume();
  };
  // Once the program is gone its terminal is closed soon, read or not: what it still holds is taken before that.
  const watchPaused = async (): Promise<void> => {
    while (isPaused) {
      await systemClock.sleep(0.03, { signal: new AbortController().signal });
      if (!sendSignal(terminal.pid, 0)) resume();
    }
  };
  terminal.onData((data: unknown) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.from(String(data));
    waitingBytes += bytes.length;
    sent = output.send(bytes, 'stdout').then(() => {
      waitingBytes -= bytes.length;
      if (waitingBytes < MOST_WAITING_BYTES / 2) resume();
    });
    if (waitingBytes > MOST_WAITING_BYTES && !isPaused && !hasExited) {
      isPaused = true;
      terminal.pause();
      void watchPaused();
    }
  });
  terminal.onExit(({ exitCode, signal }) => {
    hasExited = true;
    isPaused = false;
    void sent.then(() => {
      if (output.isClosed()) return;
      const name = signal === undefined ? undefined : SIGNAL_NAMES[signal];
      if (name === undefined) channel.exit(exitCode);
      else channel.exit(name, false, '');
      channel.end();
    });
  });

  channel.on('data', (data: unknown) => {
    if (Buffer.isBuffer(data)) write(terminal, data);
  });
  channel.once('close', () => {
    isPaused = false;
    if (!hasExited) hangUp(terminal);
  });
  return {
    signal: (name) => {
      signalGroup(terminal.pid, name);
    },
    resize: (columns, rows) => {
      if (!hasExited && columns > 0 && rows > 0) terminal.resize(columns, rows);
    },
  };
}

/** Bytes as they are: the types of node-pty only know text. */
function write(terminal: object, bytes: Buffer): void {
  const method: unknown = Reflect.get(terminal, 'write');
  if (typeof method === 'function') Reflect.apply(method, terminal, [bytes]);
}

/** Closing the terminal makes the kernel send SIGHUP to what runs in its foreground; the shell gets one of its own. */
function hangUp(terminal: object): void {
  const destroy: unknown = Reflect.get(terminal, 'destroy');
  if (typeof destroy === 'function') Reflect.apply(destroy, terminal, []);
}
