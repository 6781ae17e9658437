import { BlockList, isIP } from 'node:net';

const HOST = /^[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,253}[A-Za-z0-9])?$/;

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

/** Whether this can be a name or an address at all. */
export function isHost(text: string): boolean {
  return HOST.test(text);
}

/** Whether everybody can reach the address: it is not private, not of this machine and not of a provider's own network. */
export function isPublic(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host !== 'localhost';
  return !notPublic.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** A port as a number; `undefined`: it is none. */
export function portOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : undefined;
}
