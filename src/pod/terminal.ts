import { closeSync, constants, openSync } from 'node:fs';
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
const QUIET_SECONDS = 0.1;
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
    reading.start();
  };
  const lastData = { at: systemClock.now() };
  const reading = readingOf(terminal);
  const close = closeWhenQuiet(
    terminal,
    () =>
      output.isClosed() ||
      (!isPaused && systemClock.now().getTime() - lastData.at.getTime() >= QUIET_SECONDS * 1000),
  );
  terminal.onData((data: unknown) => {
    lastData.at = systemClock.now();
    const bytes = Buffer.isBuffer(data) ? data : Buffer.from(String(data));
    waitingBytes += bytes.length;
    sent = output.send(bytes, 'stdout').then(() => {
      waitingBytes -= bytes.length;
      if (waitingBytes < MOST_WAITING_BYTES / 2) resume();
    });
    if (waitingBytes > MOST_WAITING_BYTES && !isPaused) {
      isPaused = true;
      reading.stop();
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
    if (hasExited) return;
    // The shell gets SIGHUP; closing the terminal makes the kernel send it to what runs in the foreground.
    sendSignal(terminal.pid, 'SIGHUP');
    close();
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

/**
 * Stops and starts the reading itself. Pausing the stream would keep the last bytes in its buffer, where the end of the
 * terminal, which is an error to Node, drops them.
 */
function readingOf(terminal: object): { start(): void; stop(): void } {
  const call = (name: string): void => {
    const socket: unknown = Reflect.get(terminal, '_socket');
    if (typeof socket !== 'object' || socket === null) return;
    const handle: unknown = Reflect.get(socket, '_handle');
    if (typeof handle !== 'object' || handle === null) return;
    const method: unknown = Reflect.get(handle, name);
    if (typeof method === 'function') Reflect.apply(method, handle, []);
  };
  return {
    start: () => {
      call('readStart');
    },
    stop: () => {
      call('readStop');
    },
  };
}

/**
 * node-pty closes the terminal 200 ms after the program has ended, whatever is still to be read. That close now waits
 * until nothing has come for a while.
 */
function closeWhenQuiet(terminal: object, isQuiet: () => boolean): () => void {
  const socket: unknown = Reflect.get(terminal, '_socket');
  if (typeof socket !== 'object' || socket === null) throw new Error('No terminal was opened.');
  const destroy: unknown = Reflect.get(socket, 'destroy');
  if (typeof destroy !== 'function') throw new Error('No terminal was opened.');
  const slave = holdOpen(terminal);
  let isClosed = false;
  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    Reflect.apply(destroy, socket, []);
    closeSync(slave);
  };
  const { signal } = new AbortController();
  const closeLater = async (): Promise<void> => {
    while (!isQuiet()) await systemClock.sleep(QUIET_SECONDS, { signal });
    close();
  };
  Reflect.set(socket, 'destroy', () => {
    void closeLater();
    return socket;
  });
  return close;
}

/**
 * As long as somebody holds the terminal open, its end is not seen. When it is, libuv takes the hang-up for the end of
 * what there is to read and drops what the kernel still holds. It must not become the terminal of this process.
 */
function holdOpen(terminal: object): number {
  const name: unknown = Reflect.get(terminal, '_pty');
  if (typeof name !== 'string') throw new Error('No terminal was opened.');
  return openSync(name, constants.O_RDWR | constants.O_NOCTTY);
}

/** Bytes as they are: the types of node-pty only know text. */
function write(terminal: object, bytes: Buffer): void {
  const method: unknown = Reflect.get(terminal, 'write');
  if (typeof method === 'function') Reflect.apply(method, terminal, [bytes]);
}
