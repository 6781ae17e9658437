import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import type { CallOptions } from '../../core/call.ts';
import { InputError } from '../../core/errors.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import { account } from './account.ts';
import { expandHome } from './key-file.ts';

/** What the person's ssh configuration makes of one destination. */
export interface SshConfig {
  /** As it was asked for; `%n` of the configuration. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** In the order in which they are tried; they may not exist. */
  readonly keyPaths: readonly string[];
  readonly identitiesOnly: boolean;
  /** Socket of the agent for this host; empty: none shall be used. Absent: the usual one. */
  readonly agentSocket?: string;
  /** The name under which known_hosts lists the host, where the configuration gives it one. */
  readonly hostKeyAlias?: string;
  readonly knownHostsFiles: readonly string[];
  /** Machines on the way, as they are written: "[user@]host[:port],...". */
  readonly proxyJump?: string;
  /** Ready to run. */
  readonly proxyCommand?: string;
}
export interface Destination {
  readonly name: string;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
}

/** The best first (KE-03); what ssh would also look for cannot be used here: keys on tokens, keys that no server takes. */
const DEFAULT_KEYS = ['id_ed25519', 'id_rsa', 'id_ecdsa'];
const OTHER_DEFAULT_KEYS = ['id_ecdsa_sk', 'id_ed25519_sk', 'id_xmss', 'id_dsa'];
const CONFIG_SECONDS = 10;

/**
 * Asks the ssh of this machine what `destination` stands for: aliases, Include, Match and all. Opens no connection.
 * `undefined` where there is no ssh program. Throws `unsupported` for a configuration that ssh itself cannot read.
 */
export async function readSshConfig(
  { name, user, port }: Destination,
  options: CallOptions & { readonly configFile?: string | undefined },
): Promise<SshConfig | undefined> {
  const configFile = options.configFile ?? configOfOtherHome();
  const args = [
    ...(configFile === undefined ? [] : ['-F', configFile]),
    '-G',
    // Else ssh speaks of a terminal that nobody asked for.
    '-T',
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    '--',
    name,
  ];
  const { signal } = options;
  const answer = await new Promise<{ error: Error | null; stdout: string; stderr: string }>(
    (resolve) => {
      execFile(
        'ssh',
        args,
        { signal: AbortSignal.any([signal]), timeout: CONFIG_SECONDS * 1000 },
        (error, stdout, stderr) => {
          resolve({ error, stdout, stderr });
        },
      );
    },
  );
  signal.throwIfAborted();
  if (answer.error === null) return parseSshConfig(name, answer.stdout);
  if ('code' in answer.error && answer.error.code === 'ENOENT') return undefined;
  // ssh serves only accounts that the system knows; a container may run under a bare number.
  if (answer.stderr.startsWith('No user exists')) return undefined;
  throw new InputError('unsupported', 'The ssh configuration of this machine cannot be read.', {
    hint: 'Correct ~/.ssh/config (see the quoted words of ssh), or save the profile with host, port and user.',
    foreignText: quoteForeign(answer.stderr, 500),
    cause: answer.error,
  });
}

/** Reads what `ssh -G name` prints. Pure but for the names of the home and the user. */
export function parseSshConfig(name: string, text: string): SshConfig {
  const lines = text.split('\n').map((line) => {
    const split = line.indexOf(' ');
    return [line.slice(0, split).toLowerCase(), line.slice(split + 1).trim()] as const;
  });
  const valueOf = (key: string): string | undefined => {
    const value = lines.find(([other]) => other === key)?.[1];
    return value === '' || value === 'none' ? undefined : value;
  };
  const host = valueOf('hostname');
  const user = valueOf('user');
  const port = Number(valueOf('port'));
  if (host === undefined || user === undefined || !Number.isInteger(port) || port < 1)
    throw new InputError('unsupported', 'This destination cannot be resolved on this machine.', {
      hint: 'Save the profile with host, port and user instead of an alias.',
    });
  if (valueOf('proxyusefdpass') === 'yes')
    throw new InputError('unsupported', 'Its configuration asks for ProxyUseFdpass.', {
      hint: 'Use ProxyJump, or a ProxyCommand that carries the connection itself.',
    });
  const fill = (value: string): string => fillTokens(value, { name, host, port, user });
  const file = (value: string): string => inOurHome(expandHome(unquoted(fill(value))));
  const agent = lines.find(([key]) => key === 'identityagent')?.[1];
  const hostKeyAlias = valueOf('hostkeyalias');
  const proxyJump = valueOf('proxyjump');
  const proxyCommand = valueOf('proxycommand');
  return {
    name,
    host,
    port,
    user,
    keyPaths: inOurOrder(
      lines
        .filter(([key, value]) => key === 'identityfile' && value !== 'none')
        .map(([, value]) => file(value)),
    ),
    identitiesOnly: valueOf('identitiesonly') === 'yes',
    ...(agent === 'none' ? { agentSocket: '' } : {}),
    // A variable of the environment is not ours to look up: then the usual agent is asked.
    ...(agent === undefined || /^(?:none|SSH_AUTH_SOCK|\$.*)$/.test(agent)
      ? {}
      : { agentSocket: file(agent) }),
    ...(hostKeyAlias === undefined ? {} : { hostKeyAlias }),
    knownHostsFiles: ['userknownhostsfile', 'globalknownhostsfile'].flatMap((key) =>
      splitFiles(valueOf(key) ?? '').map(file),
    ),
    ...(proxyJump === undefined ? {} : { proxyJump }),
    ...(proxyCommand === undefined ? {} : { proxyCommand: fill(proxyCommand) }),
  };
}

/** What ssh does without any configuration, for machines that have no ssh program. */
export function defaultSshConfig({ name, user = 'root', port = 22 }: Destination): SshConfig {
  return {
    name,
    host: name,
    port,
    user,
    keyPaths: DEFAULT_KEYS.map((key) => expandHome(`~/.ssh/${key}`)),
    identitiesOnly: false,
    knownHostsFiles: [expandHome('~/.ssh/known_hosts'), '/etc/ssh/ssh_known_hosts'],
  };
}

function fillTokens(
  text: string,
  { name, host, port, user }: Pick<SshConfig, 'name' | 'host' | 'port' | 'user'>,
): string {
  const values: Readonly<Record<string, string>> = {
    '%': '%',
    h: host,
    n: name,
    p: String(port),
    r: user,
    d: homedir(),
    u: account().name,
  };
  return text.replace(/%(.)/g, (token, letter: string) => values[letter] ?? token);
}

/** ssh takes the home of the account; everything else here takes HOME. Where they differ, HOME counts. */
function configOfOtherHome(): string | undefined {
  if (homedir() === account().home) return undefined;
  const file = path.join(homedir(), '.ssh', 'config');
  return existsSync(file) ? file : 'none';
}

function inOurHome(file: string): string {
  const { home } = account();
  return home !== homedir() && file.startsWith(`${home}/.ssh/`)
    ? path.join(homedir(), file.slice(home.length))
    : file;
}

function inOurOrder(files: readonly string[]): readonly string[] {
  const defaults = new Set(
    [...DEFAULT_KEYS, ...OTHER_DEFAULT_KEYS].map((key) => expandHome(`~/.ssh/${key}`)),
  );
  return files.every((file) => defaults.has(file))
    ? DEFAULT_KEYS.map((key) => expandHome(`~/.ssh/${key}`)).filter((key) => files.includes(key))
    : files;
}

function splitFiles(text: string): readonly string[] {
  return text.match(/"[^"]*"|\S+/g) ?? [];
}

function unquoted(text: string): string {
  return text.replace(/^"(.*)"$/, '$1');
}
