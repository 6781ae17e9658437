import { expect, it } from 'vitest';
import type { Lease } from '../../../src/core/lease.ts';
import type { SshEndpoint } from '../../../src/core/machine.ts';
import type { ProviderPod } from '../../../src/core/provider.ts';
import { chosenWay, wayInto } from '../../../src/leases/way-in.ts';
import { ManualClock } from '../../support/clock.ts';

const endpoint = (changes: Partial<SshEndpoint>): SshEndpoint => ({
  podId: 'runpod:50qynxzilsxoey' as SshEndpoint['podId'],
  host: '203.0.113.5',
  port: 22,
  user: 'root',
  route: 'direct',
  ...changes,
});
const GATEWAY = endpoint({ host: 'gateway.example', route: 'proxy', shellOnly: true });
const DETOUR = endpoint({ host: 'proxy.example', route: 'proxy' });

async function found(pod: Partial<ProviderPod>, lease: Partial<Lease> = {}) {
  const asked: string[] = [];
  const way = await wayInto(
    { offer: { directSsh: false }, ...lease } as Lease,
    { ...pod } as ProviderPod,
    {
      clock: new ManualClock(),
      probe: {
        reach: async ({ host }) => {
          asked.push(host);
          return Promise.resolve('ssh');
        },
      },
    },
  );
  return { asked, host: way?.endpoint.host };
}

it('a way that carries a terminal only is never taken, however long the direct one is missing [RE-07] [PR-13]', async () => {
  expect(await found({ fallback: GATEWAY })).toEqual({ asked: [], host: undefined });
  expect(await found({ fallback: DETOUR })).toEqual({
    asked: ['proxy.example'],
    host: 'proxy.example',
  });
  const direct = endpoint({});
  expect(await found({ endpoint: direct, fallback: GATEWAY })).toMatchObject({
    host: '203.0.113.5',
  });
});

it('nor by a lease that had settled on a detour', () => {
  const lease = { endpoint: DETOUR } as Partial<Lease> as Lease;
  const direct = endpoint({});
  expect(chosenWay(lease, { endpoint: direct, fallback: GATEWAY } as ProviderPod)).toBe(direct);
  expect(chosenWay(lease, { endpoint: direct, fallback: DETOUR } as ProviderPod)).toBe(DETOUR);
});
