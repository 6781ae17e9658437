import type { PodId } from '../../core/ids.ts';
import type { SshEndpoint } from '../../core/machine.ts';
import { isHost, isPublic, portOf } from '../address.ts';
import type { Contract } from './wire.ts';

const USER = 'root';
const MAX_MAPPINGS = 64;

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
  if (!isHost(host) || !(isLocal || isPublic(host))) return undefined;
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
  if (!isHost(host) || port === undefined) return undefined;
  return { podId, host, port, user: USER, route: 'proxy' };
}

function isLoopbackBinding(hostIp: string): boolean {
  return hostIp.startsWith('127.') || hostIp === '::1';
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
