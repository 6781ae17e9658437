import { describe, expect, it } from 'vitest';
import { hostSchema } from '../../src/core/host.ts';
import type { Profile } from '../../src/core/profile.ts';
import { profileSchema } from '../../src/core/profile.ts';
import type { Store } from '../../src/core/store.ts';

export const aProfile = (profileId: string, host = 'host.example'): Profile =>
  profileSchema.parse({ profileId, host, isDefault: false });

/** What every `Store` promises. `open` gives a fresh, empty one. */
export function describeStore(name: string, open: () => Promise<Store>): void {
  describe(name, () => {
    it('keeps records by id, in order of first put', async () => {
      await using store = await open();
      expect(await store.profiles.get('a')).toBeUndefined();
      await store.profiles.put('b', aProfile('b'));
      await store.profiles.put('a', aProfile('a'));
      await store.profiles.put('b', aProfile('b', 'other.example'));
      expect((await store.profiles.list()).map(({ profileId }) => profileId)).toEqual(['b', 'a']);
      expect(await store.profiles.get('b')).toEqual(aProfile('b', 'other.example'));
      await store.profiles.delete('b');
      await store.profiles.delete('never was');
      expect(await store.profiles.list()).toEqual([aProfile('a')]);
    });

    it('keeps kinds apart', async () => {
      await using store = await open();
      await store.profiles.put('x', aProfile('x'));
      await store.hostKeys.put('x', { podId: 'x', key: 'k', firstSeenAt: 'now' });
      await store.profiles.delete('x');
      expect(await store.hostKeys.get('x')).toEqual({ podId: 'x', key: 'k', firstSeenAt: 'now' });
    });

    it('keeps what machines did for us', async () => {
      await using store = await open();
      const host = hostSchema.parse({
        hostId: 'vast:7',
        provider: 'vast',
        machineId: '7',
        bootCount: 1,
        boots: [{ leaseId: 'lea_a', at: '2026-01-01T00:00:00.000Z', seconds: 48 }],
        failureCount: 1,
        failures: [
          {
            leaseId: 'lea_b',
            at: '2026-01-02T00:00:00.000Z',
            stage: 'tcp',
            reason: 'x',
            blame: 'host',
          },
        ],
        downloadMbps: 800,
        changedAt: '2026-01-02T00:00:00.000Z',
      });
      await store.hosts.put(host.hostId, host);
      expect(await store.hosts.get('vast:7')).toEqual(host);
      expect(await store.hosts.list()).toEqual([host]);
    });

    it('logs in order and by pod [OW-06]', async () => {
      await using store = await open();
      await store.log.append({ at: '1', kind: 'a', podId: 'p', text: 'one' });
      await store.log.append({ at: '2', kind: 'b', text: 'two' });
      expect((await store.log.list()).map(({ text }) => text)).toEqual(['one', 'two']);
      expect((await store.log.list('p')).map(({ text }) => text)).toEqual(['one']);
    });

    it('commits all of a transaction or nothing', async () => {
      await using store = await open();
      await store.profiles.put('a', aProfile('a'));
      await expect(
        store.transaction(async (tx) => {
          await tx.profiles.delete('a');
          await tx.profiles.put('b', aProfile('b'));
          expect(await tx.profiles.list()).toEqual([aProfile('b')]);
          throw new Error('no');
        }),
      ).rejects.toThrow('no');
      expect(await store.profiles.list()).toEqual([aProfile('a')]);
      const answer = await store.transaction(async (tx) => {
        await tx.profiles.put('b', aProfile('b'));
        await tx.log.append({ at: '1', kind: 'a', text: 'one' });
        return 7;
      });
      expect(answer).toBe(7);
      expect(await store.profiles.list()).toHaveLength(2);
    });

    it('runs transactions one after another', async () => {
      await using store = await open();
      await store.profiles.put('n', aProfile('n', '0'));
      await Promise.all(
        Array.from({ length: 20 }, async () =>
          store.transaction(async (tx) => {
            const before = Number((await tx.profiles.get('n'))?.host);
            await Promise.resolve();
            await tx.profiles.put('n', aProfile('n', String(before + 1)));
          }),
        ),
      );
      expect((await store.profiles.get('n'))?.host).toBe('20');
    });

    it('lets a write outside wait for the transaction and lose nothing', async () => {
      await using store = await open();
      await Promise.all([
        store.transaction(async (tx) => {
          await tx.profiles.put('a', aProfile('a'));
          await Promise.resolve();
        }),
        store.profiles.put('b', aProfile('b')),
      ]);
      const ids = (await store.profiles.list()).map(({ profileId }) => String(profileId));
      expect(ids.sort()).toEqual(['a', 'b']);
    });
  });
}
