import type { CallOptions } from '../../core/call.ts';
import { InputError } from '../../core/errors.ts';
import type { SshEndpoint, SshTarget } from '../../core/machine.ts';
import { knownHostName, readKnownHost } from './known-hosts.ts';
import { type Destination, readSshConfig, type SshConfig } from './ssh-config.ts';

const MAX_JUMPS = 6;

type Way = Pick<SshEndpoint, 'via' | 'proxyCommand'>;

/**
 * The machines between here and the destination, nearest first. As with ssh the first of a ProxyJump list is reached by its
 * own configuration, each further one through the one before it. Throws `unsupported` for a way that never ends.
 */
export async function wayTo(
  config: SshConfig,
  options: CallOptions & { readonly configFile?: string | undefined },
): Promise<Way> {
  const via: SshTarget[] = [];
  let next: SshConfig | undefined = config;
  let proxyCommand: string | undefined;
  while (next !== undefined) {
    const jumps: readonly string[] = next.proxyJump?.split(',') ?? [];
    const hops: SshConfig[] = [];
    for (const jump of jumps) hops.push(await hopOf(jump, options));
    via.unshift(...(await Promise.all(hops.map(targetOf))));
    if (via.length > MAX_JUMPS)
      throw new InputError('unsupported', 'Its ProxyJump leads through too many machines.', {
        hint: 'Look for a circle of ProxyJump lines in ~/.ssh/config.',
      });
    proxyCommand = next.proxyCommand;
    next = hops[0];
  }
  return {
    ...(via.length === 0 ? {} : { via }),
    ...(proxyCommand === undefined ? {} : { proxyCommand }),
  };
}

/** One SSH server as the person's own ssh would meet it: keys, agent and what known_hosts knows. */
export async function targetOf(config: SshConfig): Promise<SshTarget> {
  const { host, port, user, keyPaths, identitiesOnly, agentSocket } = config;
  return {
    host,
    port,
    user,
    keyPaths: [...keyPaths],
    ...(identitiesOnly ? { identitiesOnly } : {}),
    ...(agentSocket === undefined ? {} : { agentSocket }),
    ...(await knownKeysOf(config)),
  };
}

async function knownKeysOf({
  host,
  port,
  hostKeyAlias,
  knownHostsFiles,
}: SshConfig): Promise<Pick<SshTarget, 'knownHostKeys' | 'revokedHostKeys'>> {
  const name = hostKeyAlias?.toLowerCase() ?? knownHostName(host, port);
  const { keys, revoked } = await readKnownHost(knownHostsFiles, name);
  return {
    ...(keys.length === 0 ? {} : { knownHostKeys: [...keys] }),
    ...(revoked.length === 0 ? {} : { revokedHostKeys: [...revoked] }),
  };
}

async function hopOf(
  jump: string,
  options: CallOptions & { readonly configFile?: string | undefined },
): Promise<SshConfig> {
  const config = await readSshConfig(parseJump(jump), options);
  if (config === undefined) throw unreadable();
  return config;
}

/** "[user@]host[:port]", with brackets around an IPv6 address, or the same as an ssh:// address. Pure. */
export function parseJump(text: string): Destination {
  const found = /^(?:ssh:\/\/)?(?:([^@]+)@)?(?:\[([^\]]+)\]|([^:[\]@]+))(?::(\d{1,5}))?\/?$/.exec(
    text.trim(),
  );
  const name = found?.[2] ?? found?.[3];
  if (name === undefined || name.startsWith('-')) throw unreadable();
  const port = found?.[4];
  return { name, user: found?.[1], ...(port === undefined ? {} : { port: Number(port) }) };
}

function unreadable(): InputError {
  return new InputError('unsupported', 'A ProxyJump of the ssh configuration cannot be read.', {
    hint: 'Write it as [user@]host[:port], several with commas between them.',
  });
}
