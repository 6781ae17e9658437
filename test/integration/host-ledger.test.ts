import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import type { Lease } from '../../src/core/lease.ts';
import { createHosts } from '../../src/leases/hosts.ts';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { anOffer } from '../support/fake-provider.ts';

/** No more than are remembered of each kind. */
const LEASES = 10;

it('two servers write one ledger of machines: nothing is lost, nothing counts twice', async () => {
  const home = await mkdtemp(path.join(os.tmpdir(), 'host-ledger-'));
  try {
    const file = path.join(home, 'state.db');
    {
      await using one = createSqliteStore({ file });
      await using other = createSqliteStore({ file });
      const servers = [one, other].map((store) => createHosts({ store, clock: systemClock }));
      const lease = (leaseId: string) =>
        ({ leaseId, provider: 'vast', offer: anOffer({ machineId: '7' }) }) as Lease;
      await Promise.all(
        Array.from({ length: LEASES }, (_, index) => index).flatMap((index) =>
          servers.flatMap((hosts) => [
            hosts.succeeded(lease(`both-${index}`), { bootSeconds: 10 + index }),
            hosts.failed(lease(`bad-${index}`), {
              stage: 'tcp',
              reason: 'No answer.',
              blame: 'host',
            }),
          ]),
        ),
      );
    }
    await using later = createSqliteStore({ file });
    const host = (await createHosts({ store: later, clock: systemClock }).all()).get('vast:7');
    expect(host).toMatchObject({ bootCount: LEASES, failureCount: LEASES });
    expect(new Set(host?.failures.map(({ leaseId }) => leaseId)).size).toBe(LEASES);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
