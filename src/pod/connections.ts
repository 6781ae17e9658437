import { timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import ssh2, {
  type AuthContext,
  type Connection,
  type ParsedKey,
  type PseudoTtyInfo,
  type Server,
  type Session,
} from 'ssh2';
import { systemClock } from '../core/call.ts';
import { type Running, runCommand } from './command.ts';
import { type Environment, withClientVariables } from './environment.ts';
import { keysOfHome, variablesOfHome } from './login-files.ts';
import { serveSftp } from './sftp.ts';
import { runInTerminal, type TerminalSize } from './terminal.ts';

const LOGIN_LIMIT_SECONDS = 30;
const MOST_LOGIN_TRIES = 20;

export interface ConnectionsDeps {
  readonly hostKey: string;
  readonly authorizedKeys: readonly string[];
  readonly home: string;
  readonly environment: Environment;
  readonly shell: string;
  readonly log: (line: string) => void;
}

export interface Connections {
  accept(socket: Socket): void;
  /** Drops every client. */
  close(): void;
}

/** The SSH protocol side of the pod: who may enter, and what runs on the channels they open. */
export function createConnections(deps: ConnectionsDeps): Connections {
  const sockets = new Map<number, Socket>();
  const keys = deps.authorizedKeys.map(parsePublicKey);
  const server: Server = new ssh2.Server(
    { hostKeys: [deps.hostKey], keepaliveInterval: 15_000, keepaliveCountMax: 3 },
    (client, info) => {
      const socket = sockets.get(info.port);
      const drop = (): void => {
        socket?.destroy();
      };
      client.on('error', (failure: Error) => {
        deps.log(`connection: ${failure.message}`);
        drop();
      });
      allowLoginTime(client, drop);
      admit(client, () => [...keys, ...keysOfHome(deps.home)], drop);
      client.on('session', (accept) => {
        serveSession(accept(), deps);
      });
    },
  );
  server.on('error', (failure: Error) => {
    deps.log(`server: ${failure.message}`);
  });
  return {
    accept(socket) {
      const port = socket.remotePort ?? -1;
      sockets.set(port, socket);
      socket.setNoDelay(true);
      socket.once('close', () => sockets.delete(port));
      server.injectSocket(socket);
    },
    close() {
      for (const socket of sockets.values()) socket.destroy();
    },
  };
}

function parsePublicKey(line: string): ParsedKey {
  const parsed: unknown = ssh2.utils.parseKey(line);
  const key = ssh2.utils.parseKey(line);
  if (parsed instanceof Error || key instanceof Error)
    throw new Error('An authorized key cannot be read.');
  return key;
}

function allowLoginTime(client: Connection, drop: () => void): void {
  const done = new AbortController();
  client.once('ready', () => {
    done.abort();
  });
  client.once('close', () => {
    done.abort();
  });
  void systemClock.sleep(LOGIN_LIMIT_SECONDS, { signal: done.signal }).then(drop, () => undefined);
}

/** Any user name, but only the keys the pod has been given until now, each proven by a signature. */
function admit(client: Connection, keys: () => readonly ParsedKey[], drop: () => void): void {
  let tries = 0;
  client.on('authentication', (context: AuthContext) => {
    tries += 1;
    if (tries > MOST_LOGIN_TRIES) {
      drop();
      return;
    }
    if (context.method !== 'publickey') {
      context.reject(['publickey']);
      return;
    }
    const { key, signature, blob, hashAlgo } = context;
    const known = keys().find((candidate) => isSame(candidate.getPublicSSH(), key.data));
    if (known === undefined) context.reject(['publickey']);
    else if (signature === undefined || blob === undefined) context.accept();
    else if (isProven(known.verify(blob, signature, hashAlgo))) context.accept();
    else context.reject(['publickey']);
  });
}

/** ssh2 answers a signature it cannot read with an Error, which its types do not say: only `true` is a proof. */
function isProven(verdict: unknown): boolean {
  return verdict === true;
}

function isSame(left: Buffer, right: Buffer): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}

type Accept = (() => void) | undefined;

function serveSession(session: Session, deps: ConnectionsDeps): void {
  const asked: (readonly [string, string])[] = [];
  let terminal: (TerminalSize & { readonly term: string }) | undefined;
  let running: Running | undefined;

  const start = (
    accept: () => ssh2.ServerChannel,
    argv: { readonly file: string; readonly args: readonly string[] },
  ): void => {
    const channel = accept();
    const env = withClientVariables(deps.environment, [...variablesOfHome(deps.home), ...asked]);
    const place = { home: deps.home, env };
    if (terminal === undefined) {
      running = runCommand(channel, argv, place);
      return;
    }
    const { term } = terminal;
    runInTerminal(channel, argv, { ...place, term }, terminal).then(
      (started) => {
        running = started;
        if (terminal !== undefined) started.resize(terminal.columns, terminal.rows);
      },
      (failure: unknown) => {
        deps.log(`terminal: ${String(failure)}`);
        channel.stderr.write('No terminal can be opened on this machine.\n');
        channel.exit(126);
        channel.end();
      },
    );
  };

  session.on('env', (accept: Accept, _reject, info) => {
    // ssh2's types name these fields otherwise than it does.
    const name: unknown = Reflect.get(info, 'key');
    const value: unknown = Reflect.get(info, 'val');
    if (typeof name === 'string' && typeof value === 'string') asked.push([name, value]);
    accept?.();
  });
  session.on('pty', (accept: Accept, _reject, info: PseudoTtyInfo) => {
    terminal = { columns: info.cols || 80, rows: info.rows || 24, term: info.term || 'xterm' };
    accept?.();
  });
  session.on('window-change', (accept: Accept, _reject, info) => {
    if (terminal !== undefined) terminal = { ...terminal, columns: info.cols, rows: info.rows };
    running?.resize(info.cols, info.rows);
    accept?.();
  });
  session.on('signal', (accept: Accept, _reject, info) => {
    running?.signal(info.name);
    accept?.();
  });
  session.on('eof', () => {
    // ssh2 takes the end of the client's input for the end of its requests; a signal may still come.
    Reflect.set(session, '_ending', false);
  });
  session.on('exec', (accept, _reject, info) => {
    start(accept, { file: '/bin/sh', args: ['-c', info.command] });
  });
  session.on('shell', (accept) => {
    start(accept, { file: deps.shell, args: [] });
  });
  session.on('sftp', (accept) => {
    serveSftp(accept(), deps.home);
  });
}
