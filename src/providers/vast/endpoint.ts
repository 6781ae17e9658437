import { BlockList, isIP } from 'node:net';
import type { PodId } from '../../core/ids.ts';
import type { SshEndpoint } from '../../core/machine.ts';
import type { Contract } from './wire.ts';

const USER = 'root';
const HOST = /^[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,253}[A-Za-z0-9])?$/;
const MAX_MAPPINGS = 64;

const notPublic = new BlockList();
for (const [address, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const)
  notPublic.addSubnet(address, bits, 'ipv4');
for (const [address, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
] as const)
  notPublic.addSubnet(address, bits, 'ipv6');

export interface Endpoints {
  readonly endpoint?: SshEndpoint;
  readonly fallback?: SshEndpoint;
}

/**
 * How a running container is reached: the public mapping of its port 22 and no other port, else the proxy. `isLocal`: the
 * cloud itself is on this machine, so its pods may be too.
 */
export function endpointsOf(podId: PodId, row: Contract, isLocal: boolean): Endpoints {
  const direct = directOf(podId, row, isLocal);
  const proxy = proxyOf(podId, row);
  if (direct === undefined) return proxy === undefined ? {} : { endpoint: proxy };
  return { endpoint: direct, ...(proxy === undefined ? {} : { fallback: proxy }) };
}

function directOf(podId: PodId, row: Contract, isLocal: boolean): SshEndpoint | undefined {
  const host = row.public_ipaddr?.trim() ?? '';
  if (!HOST.test(host) || !(isLocal || isPublic(host))) return undefined;
  const mapping = (row.ports?.['22/tcp'] ?? []).find(
    ({ HostIp, HostPort }) =>
      portOf(HostPort) !== undefined && (isLocal || !isLoopbackBinding(HostIp ?? '')),
  );
  const port = portOf(mapping?.HostPort);
  return port === undefined ? undefined : { podId, host, port, user: USER, route: 'direct' };
}

/** A Jupyter container has its SSH one port further. */
function proxyOf(podId: PodId, row: Contract): SshEndpoint | undefined {
  const host = row.ssh_host?.trim() ?? '';
  const further = row.image_runtype?.includes('jupyter') === true ? 1 : 0;
  const port = portOf(row.ssh_port == null ? undefined : String(row.ssh_port + further));
  if (!HOST.test(host) || port === undefined) return undefined;
  return { podId, host, port, user: USER, route: 'proxy' };
}

function isPublic(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host !== 'localhost';
  return !notPublic.check(host, family === 6 ? 'ipv6' : 'ipv4');
}
function isLoopbackBinding(hostIp: string): boolean {
  return hostIp.startsWith('127.') || hostIp === '::1';
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** "22/tcp -> 0.0.0.0:33526", in the cloud's words. */
export function mappingsOf({ ports }: Contract): readonly string[] {
  return Object.entries(ports ?? {})
    .flatMap(([inside, outside]) =>
      (outside ?? []).map(({ HostIp, HostPort }) => `${inside} -> ${HostIp ?? ''}:${HostPort}`),
    )
    .slice(0, MAX_MAPPINGS)
    .map((line) => line.slice(0, 100));
}
