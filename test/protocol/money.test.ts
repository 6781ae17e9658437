import { describe, expect, it } from 'vitest';
import type { Pod } from '../../src/core/pods.ts';
import type { Answer } from '../support/answer.ts';
import { createLeaseBench } from '../support/lease-bench.ts';
import { inProcess, PEERS, type PeerOptions, type TestPeer } from '../support/mcp-clients.ts';

/** Real leases over a priced cloud, behind the real edge. */
async function open(
  peer: (typeof PEERS)[number],
  options: PeerOptions = {},
): Promise<{ bench: ReturnType<typeof createLeaseBench>; client: TestPeer }> {
  const bench = createLeaseBench();
  const client = await inProcess(peer, { overrides: { pods: bench.pods } }, options);
  return { bench, client };
}
const machines = async ({ cloud, signal }: ReturnType<typeof createLeaseBench>): Promise<number> =>
  (await cloud.listPods({ signal })).length;
const podOf = (data: Answer): Pod => data['pod'] as Pod;
const tick = (field: string): PeerOptions => ({
  elicit: () => ({ action: 'accept', content: { [field]: true } }),
});

describe.each(PEERS)('leases through a %s client', (peer) => {
  it('rent one machine when a person agrees in the form', async () => {
    const messages: string[] = [];
    const { bench, client: opened } = await open(peer, {
      elicit: ({ message }) => {
        messages.push(message);
        return { action: 'accept', content: { approve: true } };
      },
    });
    await using client = opened;
    const { data } = await client.call('create_pod', { offerId: 'vast:a', waitSeconds: 0 });
    expect(['provisioning', 'ready']).toContain(data['status']);
    expect(messages.length).toBe(1);
    expect(messages[0]).toMatch(/\$\d/);
    expect(await machines(bench)).toBe(1);
  });

  it('rent nothing when the person declines', async () => {
    const { bench, client: opened } = await open(peer, { elicit: () => ({ action: 'decline' }) });
    await using client = opened;
    const { data } = await client.call('create_pod', { offerId: 'vast:a' });
    expect(data).toMatchObject({ status: 'needs_confirmation', declined: true });
    expect(await machines(bench)).toBe(0);
  });

  it('quote to a client without forms, and take the quote once', async () => {
    const { bench, client: opened } = await open(peer);
    await using client = opened;
    const first = await client.call('create_pod', { offerId: 'vast:a' });
    expect(first.data).toMatchObject({ status: 'needs_confirmation' });
    expect(await machines(bench)).toBe(0);
    const args = { ...first.data.next[0]?.arguments, waitSeconds: 0 };
    const second = await client.call('create_pod', args);
    expect(['provisioning', 'ready']).toContain(second.data['status']);
    const third = await client.call('create_pod', args);
    expect(third).toMatchObject({ isError: true, data: { code: 'quote_invalid' } });
    expect(await machines(bench)).toBe(1);
  });

  it('give more time when a person agrees, although the deadline counts from now', async () => {
    const { bench, client: opened } = await open(peer, tick('approve'));
    await using client = opened;
    const created = await bench.create({}, 25);
    if (!('pod' in created) || created.pod === undefined) throw new Error('no pod');
    const { podId, deadlineAt = '' } = created.pod;
    const { data } = await client.call('update_pod', { podId, ttlMinutes: 900 });
    expect(Date.parse(podOf(data).deadlineAt ?? '')).toBeGreaterThan(Date.parse(deadlineAt));
  });

  it('destroy over open gates only with a person, and say so in the receipt', async () => {
    const { bench, client: opened } = await open(peer, tick('discardUnfetched'));
    await using client = opened;
    bench.world.answer = 'accepted';
    const created = await bench.create({}, 25);
    if (!('pod' in created) || created.pod === undefined) throw new Error('no pod');
    const { podId } = created.pod;
    bench.world.gates = [{ gate: 'artifact_not_fetched', path: 'last.pt', why: 'not home' }];
    const blocked = await client.call('destroy', { podId });
    expect(blocked.data).toMatchObject({ outcome: 'blocked' });
    expect(podOf(blocked.data).podId).toBe(podId);
    const gone = await client.call('destroy', {
      podId,
      discardUnfetched: true,
      reason: 'the user does not want it',
    });
    expect(gone.data).toMatchObject({
      outcome: 'gone',
      receipt: { waiver: { by: 'person', reason: 'the user does not want it' } },
    });
    expect(await machines(bench)).toBe(0);
  });
});
