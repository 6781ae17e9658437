import type { PodId } from '../../core/ids.ts';
import type { SshEndpoint } from '../../core/machine.ts';
import { isHost, isPublic } from '../address.ts';
import type { PodRow, PortRow } from './rows.ts';

export const GATEWAY = { host: 'ssh.runpod.io', port: 22 } as const;
const USER = 'root';
/** The user of an image that is often used here; tried once, after `root` was denied. */
const SECOND_USER = 'unsloth';
const SSH_PORT = 22;
const MAX_MAPPINGS = 64;

export interface WayRules {
  /** The cloud itself is on this machine, so its pods may be too. */
  readonly isLocal: boolean;
  /** Whoever named a user wants no other one tried. */
  readonly user?: string | undefined;
  readonly hasGateway: boolean;
}
export interface Endpoints {
  readonly endpoint?: SshEndpoint;
  readonly fallback?: SshEndpoint;
}

/**
 * How a running pod is reached: the public mapping of its port 22 and no other port; beside it the gateway, which carries a
 * shell in a terminal and nothing else.
 */
export function endpointsOf(podId: PodId, row: PodRow, rules: WayRules): Endpoints {
  const direct = directOf(row, rules);
  const gateway = row.gatewayUser ?? '';
  const user = rules.user ?? USER;
  const second = rules.user === undefined ? { secondUser: SECOND_USER } : {};
  return {
    ...(direct === undefined
      ? {}
      : { endpoint: { podId, ...direct, user, ...second, route: 'direct' as const } }),
    ...(rules.hasGateway && /^[A-Za-z0-9]+-[A-Za-z0-9]+$/.test(gateway)
      ? { fallback: { podId, ...GATEWAY, user: gateway, route: 'proxy' as const, shellOnly: true } }
      : {}),
  };
}

function directOf(
  row: PodRow,
  rules: WayRules,
): { readonly host: string; readonly port: number } | undefined {
  const usable = row.ports.filter(
    (port) => port.privatePort === SSH_PORT && port.publicPort !== undefined && isOpen(port, rules),
  );
  // Without the protocol a mapping of port 22 is still one of port 22; an HTTP one leads to a web proxy.
  const chosen =
    usable.find(({ type }) => type === 'tcp') ?? usable.find(({ type }) => type !== 'http');
  if (chosen?.publicPort !== undefined) return checked(chosen.ip, chosen.publicPort);
  const { direct } = row;
  return direct !== undefined && isReachable(direct.host, rules)
    ? checked(direct.host, direct.port)
    : undefined;
}

/** Where RunPod says that an address is not public it is not; where it says nothing, the address itself does. */
function isOpen({ ip, isPublic: isTold }: PortRow, rules: WayRules): boolean {
  return isTold !== false && isReachable(ip, rules);
}
function isReachable(host: string, { isLocal }: WayRules): boolean {
  return isHost(host) && (isLocal || isPublic(host));
}
function checked(
  host: string,
  port: number,
): { readonly host: string; readonly port: number } | undefined {
  return Number.isInteger(port) && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** "22/tcp -> 213.173.108.12:15071 (public)", every line RunPod told. */
export function mappingsOf({ ports, direct }: PodRow): readonly string[] {
  const lines = ports.map(({ privatePort, type, ip, publicPort, isPublic: isTold }) => {
    const kind = isTold === undefined ? '' : isTold ? ' (public)' : ' (private)';
    return `${privatePort}/${type} -> ${ip}:${publicPort ?? '?'}${kind}`;
  });
  const own = direct === undefined ? [] : [`ssh.direct -> ${direct.host}:${direct.port}`];
  return [...lines, ...own].slice(0, MAX_MAPPINGS).map((line) => line.slice(0, 100));
}
