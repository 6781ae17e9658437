import type { Duplex } from 'node:stream';
import type { Client, ServerHostKeyAlgorithm } from 'ssh2';
import { RemoteError } from '../core/errors.ts';
import { type PodId, providerOf } from '../core/ids.ts';
import type { SshTarget } from '../core/machine.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { ConnectFailure } from './connect-failure.ts';
import type { Credentials } from './credentials.ts';
import type { HostKeys, KeyOwner } from './host-keys.ts';

export const CONNECT_SECONDS = 20;
export const KEEPALIVE_SECONDS = 10;
/** The third period in a row without an answer ends a connection: 30 seconds at most. */
const KEEPALIVE_MISSES = 2;
/** Reasons of SSH for hanging up during a login: a protocol error (too many tries), no more methods. */
const LOGIN_OVER: readonly number[] = [2, 14];

export interface Handshake {
  readonly podId: PodId;
  readonly target: SshTarget;
  readonly credentials: Credentials;
  readonly stream: Duplex;
  readonly hostKeys: HostKeys;
  readonly keepaliveSeconds?: number | undefined;
  /** 1 for the machine nearest to us; absent for the destination. */
  readonly jump?: number | undefined;
}

/** One SSH login over `stream`: the host key first, then only the given identities. Throws `ConnectFailure`. */
export async function shakeHands(wish: Handshake): Promise<Client> {
  const { target, credentials, stream, hostKeys } = wish;
  const owner = ownerOf(wish);
  const [{ default: ssh2 }, expected] = await Promise.all([
    import('ssh2'),
    hostKeys.expected(owner),
  ]);
  const client = new ssh2.Client();
  const seen: Seen = {
    hostKeyRefused: false,
    isKnown: false,
    accepted: undefined,
    verifyFailure: undefined,
  };

  await new Promise<void>((resolve, reject) => {
    const fail = (cause?: Error): void => {
      stream.destroy();
      reject(failureOf(cause, wish, seen));
    };
    client.once('ready', () => {
      client.removeListener('error', fail);
      client.removeListener('close', fail);
      resolve();
    });
    client.on('error', fail);
    client.on('close', fail);
    // It ended while the keys were read: ssh2 would wait for it in vain.
    if (stream.destroyed) {
      fail();
      return;
    }
    client.connect({
      sock: stream,
      username: target.user,
      authHandler: credentials.methods,
      readyTimeout: CONNECT_SECONDS * 1000,
      keepaliveInterval: (wish.keepaliveSeconds ?? KEEPALIVE_SECONDS) * 1000,
      keepaliveCountMax: KEEPALIVE_MISSES,
      algorithms: {
        cipher: {
          prepend: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'],
          append: [],
          remove: [],
        },
        // A host with several keys must show one that we know.
        ...(expected === undefined
          ? {}
          : {
              serverHostKey: {
                prepend: [...new Set(expected.flatMap(algorithmsFor))],
                append: [],
                remove: [],
              },
            }),
      },
      hostVerifier: (key: Buffer, verify: (valid: boolean) => void): void => {
        // When keys are changed later on. ssh2 spoils what is sent while such an answer is waited for.
        if (seen.accepted?.equals(key) === true) {
          verify(true);
          return;
        }
        hostKeys.accept(owner, key).then(
          (known) => {
            seen.hostKeyRefused = !known;
            seen.isKnown = known;
            if (known) seen.accepted = Buffer.from(key);
            verify(known);
          },
          (failure: unknown) => {
            seen.verifyFailure = failure;
            verify(false);
          },
        );
      },
    });
  });
  client.on('error', () => {
    // 'close' follows, and says all there is to know.
  });
  return client;
}

interface Seen {
  hostKeyRefused: boolean;
  /** Its host key was accepted: what comes now is the login. */
  isKnown: boolean;
  accepted: Buffer | undefined;
  verifyFailure: unknown;
}

function ownerOf({ podId, target, jump }: Handshake): KeyOwner {
  const { hostKey, knownHostKeys, revokedHostKeys, host, port } = target;
  return {
    podId,
    fileUnder: jump === undefined ? podId : `${podId} via ${host}:${port}`,
    ...(hostKey === undefined ? {} : { hostKey }),
    ...(knownHostKeys === undefined ? {} : { knownHostKeys }),
    ...(revokedHostKeys === undefined ? {} : { revokedHostKeys }),
  };
}

function failureOf(cause: Error | undefined, wish: Handshake, seen: Seen): ConnectFailure {
  const { jump } = wish;
  const what = jump === undefined ? 'The machine' : `Jump host ${jump} on the way`;
  if (seen.hostKeyRefused) return new ConnectFailure(hostKeyChanged(what, wish));
  const level = cause !== undefined && 'level' in cause ? cause.level : undefined;
  if (level === 'client-authentication' || level === 'agent')
    return new ConnectFailure(refusal(what, level, cause, wish), {
      denied: jump === undefined,
    });
  const reason = cause !== undefined && 'code' in cause ? cause.code : undefined;
  // It hung up while keys were being offered, as servers do after a few wrong ones.
  if (seen.isKnown && typeof reason === 'number' && LOGIN_OVER.includes(reason))
    return new ConnectFailure(
      new RemoteError('ssh_refused', `${what} hung up after the keys it was offered.`, {
        cause,
        hint: 'Name the one right key: keyPath in ssh_profile, or IdentityFile with IdentitiesOnly in ~/.ssh/config.',
      }),
    );
  return new ConnectFailure(
    new RemoteError('ssh_unreachable', `${what} did not complete the SSH handshake.`, {
      cause: seen.verifyFailure ?? cause,
    }),
    { dropped: !seen.isKnown && seen.verifyFailure === undefined && level !== 'client-timeout' },
  );
}

function refusal(
  what: string,
  level: unknown,
  cause: Error | undefined,
  { podId, target, credentials: { problem } }: Handshake,
): RemoteError {
  if (level === 'agent')
    return new RemoteError('ssh_refused', 'The SSH agent would not sign with its key.', {
      cause,
      hint: 'Ask the user to unlock the agent or to confirm the use of the key, then call again.',
    });
  const hint =
    problem !== undefined
      ? `A key that was meant could not be offered. ${problem.message} ${problem.hint}`
      : providerOf(podId) === 'ssh'
        ? `"${target.user}" was not let in. Images use root, ubuntu or a login of their own: ask the user for the login name and the key, and save the profile again.`
        : undefined;
  return new RemoteError('ssh_refused', `${what} did not accept our key.`, {
    cause,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Says how a machine that was rightly made anew becomes known again. */
function hostKeyChanged(what: string, { podId, target, jump }: Handshake): RemoteError {
  const { host, port, knownHostKeys, revokedHostKeys } = target;
  const isListed = knownHostKeys !== undefined || revokedHostKeys !== undefined;
  const name = shellQuote(port === 22 ? host : `[${host}]:${port}`);
  const hint = isListed
    ? `It is not the machine that known_hosts lists. Only if the user confirms that it was set up anew: they run ssh-keygen -R ${name} and log in once by hand.`
    : providerOf(podId) === 'ssh'
      ? 'It is not the machine we knew. Only if the user confirms that it was set up anew: remove the profile with ssh_profile and save it again.'
      : undefined;
  return new RemoteError(
    'host_key_changed',
    jump === undefined
      ? 'The machine showed another host key than before.'
      : `${what} showed another host key than before.`,
    hint === undefined ? {} : { hint },
  );
}

function algorithmsFor(key: string): ServerHostKeyAlgorithm[] {
  const type = Buffer.from(key, 'base64').subarray(4, 40).toString('latin1');
  if (type.startsWith('ssh-rsa')) return ['rsa-sha2-512', 'rsa-sha2-256'];
  for (const algorithm of [
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
  ] as const)
    if (type.startsWith(algorithm)) return [algorithm];
  return ['ssh-ed25519'];
}
