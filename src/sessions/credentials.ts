import type { AnyAuthMethod, BaseAgent, ParsedKey } from 'ssh2';
import { type AppError, RemoteError } from '../core/errors.ts';
import type { SshTarget } from '../core/machine.ts';
import { type KeyFile, keyProblem, readKeyFile } from './key-files.ts';

/** A server ends the connection after six by default (KE-07). */
const MAX_OFFERS = 5;
const AGENT_SECONDS = 3;

export interface Credentials {
  /** Offered in this order. */
  readonly methods: AnyAuthMethod[];
  /** A key that was meant and could not be offered; what to say when all others are refused. */
  readonly problem: AppError | undefined;
}

interface AgentKeys {
  readonly state: 'answers' | 'silent' | 'absent';
  readonly keys: readonly ParsedKey[];
  method(key: ParsedKey): AnyAuthMethod;
}

/**
 * What is offered to one server. A named key is the only one. Else keys of the agent that the configuration names, its key
 * files, then what else the agent holds unless that is forbidden. Throws `config_missing`, `key_unusable` or `ssh_refused`
 * where there is nothing to offer.
 */
export async function credentialsOf(
  target: SshTarget,
  personsAgent: string | undefined,
): Promise<Credentials> {
  const { user, keyPath, keyPaths = [] } = target;
  const socket = target.agentSocket ?? personsAgent;
  const files = await Promise.all((keyPath === undefined ? keyPaths : [keyPath]).map(readKeyFile));
  const isSettled = keyPath !== undefined && files[0]?.kind !== 'locked';
  const agent = isSettled ? noAgent : await askAgent(socket, user);

  const named = agent.keys.filter((key) => files.some((file) => isSame(file, key)));
  const others =
    keyPath !== undefined || target.identitiesOnly === true
      ? []
      : agent.keys.filter((key) => !named.includes(key));
  const fromFiles = files.flatMap((file): AnyAuthMethod[] =>
    file.kind === 'usable' && !named.some((key) => isSame(file, key))
      ? [{ type: 'publickey', username: user, key: file.key }]
      : [],
  );
  // An agent full of other keys must not use up what the server allows: those come last.
  const methods = [
    ...named.map((key) => agent.method(key)),
    ...fromFiles,
    ...others.map((key) => agent.method(key)),
  ].slice(0, MAX_OFFERS);
  const problem = problemOf(files, agent);
  if (methods.length > 0) return { methods, problem };
  throw problem ?? nothingToOffer(files, agent);
}

function problemOf(files: readonly KeyFile[], agent: AgentKeys): AppError | undefined {
  const isHeld = (file: KeyFile): boolean => agent.keys.some((key) => isSame(file, key));
  const bad = files.find(
    (file) => (file.kind === 'locked' || file.kind === 'exposed') && !isHeld(file),
  );
  return bad === undefined || bad.kind === 'usable' ? undefined : keyProblem(bad, agent.state);
}

function nothingToOffer(files: readonly KeyFile[], agent: AgentKeys): AppError {
  const [only, ...rest] = files;
  if (only !== undefined && rest.length === 0 && only.kind !== 'usable')
    return keyProblem(only, agent.state);
  return new RemoteError(
    'ssh_refused',
    agent.state === 'silent'
      ? 'There is no key for this machine, and the SSH agent does not answer.'
      : agent.state === 'answers'
        ? 'There is no key for this machine: the SSH agent holds none that may be offered.'
        : 'There is no key for this machine and no SSH agent.',
    { hint: 'Name a private key with keyPath in ssh_profile, or load one with ssh-add.' },
  );
}

function isSame(file: KeyFile, key: ParsedKey): boolean {
  return 'blob' in file && file.blob?.equals(key.getPublicSSH()) === true;
}

const noAgent: AgentKeys = {
  state: 'absent',
  keys: [],
  method: () => ({ type: 'none', username: '' }),
};

/** The keys that the agent holds now. An agent that does not answer in time holds none. */
async function askAgent(socket: string | undefined, username: string): Promise<AgentKeys> {
  if (socket === undefined || socket === '') return noAgent;
  const { default: ssh2 } = await import('ssh2');
  const keys = await new Promise<readonly ParsedKey[] | undefined>((resolve) => {
    const limit = AbortSignal.timeout(AGENT_SECONDS * 1000);
    limit.addEventListener('abort', () => {
      resolve(undefined);
    });
    new ssh2.OpenSSHAgent(socket).getIdentities((failure, found) => {
      // Its type says that there is always an answer; a failure has none.
      const list: unknown = failure instanceof Error ? undefined : found;
      resolve(Array.isArray(list) ? parseAll(list, ssh2.utils.parseKey) : undefined);
    });
  });
  return {
    state: keys === undefined ? 'silent' : 'answers',
    keys: keys ?? [],
    method(key) {
      // One key of it at a time, so that the server is shown exactly what was chosen.
      const agent: BaseAgent = new ssh2.OpenSSHAgent(socket);
      agent.getIdentities = (answer) => {
        answer(undefined, [key]);
      };
      return { type: 'agent', username, agent };
    },
  };
}

function parseAll(
  list: readonly unknown[],
  parseKey: (data: string | Buffer | ParsedKey) => ParsedKey | Error,
): readonly ParsedKey[] {
  return list.flatMap((one) => {
    if (!Buffer.isBuffer(one) && typeof one !== 'string' && !isParsed(one)) return [];
    const key = parseKey(one);
    return key instanceof Error ? [] : [key];
  });
}

function isParsed(value: unknown): value is ParsedKey {
  return typeof value === 'object' && value !== null && 'getPublicSSH' in value;
}
