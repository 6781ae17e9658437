import { describe, expect, it } from 'vitest';
import { offerIdSchema } from '../../../src/core/ids.ts';
import { pullFailureIn } from '../../../src/leases/boot-watch.ts';
import { createLeaseBench, type LeaseBench } from '../../support/lease-bench.ts';

const MISSING =
  '[system] error pulling image: Error response from daemon: manifest for foo/bar:nope not found: manifest unknown\n';
const DENIED =
  "[system] error pulling image: pull access denied for a/b, repository does not exist or may require 'docker login'\n";

async function pod(bench: LeaseBench) {
  const [machine] = bench.cloud.machines;
  if (machine === undefined) throw new Error('no machine');
  return (await bench.pods.get(machine.podId, { waitSeconds: 0 }, bench.options)).pod;
}
function open(log: () => string, tellsPulls = true): LeaseBench {
  const bench = createLeaseBench({ cloud: { bootLog: log, tellsPulls } });
  bench.cloud.faults.neverBoots = true;
  return bench;
}
const reads = (bench: LeaseBench): number =>
  bench.cloud.calls.filter((call) => call === 'bootLog').length;

describe('a pod whose image cannot be pulled [RE-02]', () => {
  it.each([
    ['is not there', MISSING, /has no such image or tag/],
    ['needs a login', DENIED, /wants a login/],
  ])('which %s has failed as soon as its log says so', async (_what, log, words) => {
    const bench = open(() => log);
    await bench.create({}, 0);
    expect((await pod(bench)).status).toBe('provisioning');
    bench.clock.advance(11);
    const seen = await pod(bench);
    expect(seen).toMatchObject({
      status: 'failed',
      problem: expect.stringMatching(words) as string,
    });
    expect(seen.problem).toContain('D-021');
    // Nothing a registry says is in our own words.
    expect(seen.problem).not.toMatch(/foo\/bar|daemon/);
    bench.clock.advance(5);
    expect((await pod(bench)).status).toBe('failed');
    expect((await bench.store.leases.list())[0]).toMatchObject({ blame: 'image' });
  });

  it('is ended at once by whoever waits for it, and no other is rented for the same image', async () => {
    const bench = open(() => MISSING);
    const outcome = await bench.create(
      { offerIds: ['vast:a', 'vast:b'].map((id) => offerIdSchema.parse(id)) },
      25,
    );
    expect(outcome).toMatchObject({ status: 'failed', attempts: [{ cleanup: 'gone' }] });
    expect(bench.cloud.alive()).toEqual([]);
    expect(bench.cloud.calls.filter((call) => call === 'createPod')).toHaveLength(1);
  });

  it('is looked for now and then only, and not where the cloud tells it elsewhere', async () => {
    const bench = open(() => '[system] 1.0 Pulling from a/b\n');
    await bench.create({}, 0);
    bench.clock.advance(11);
    for (let second = 0; second < 30; second += 1) {
      expect((await pod(bench)).status).toBe('provisioning');
      bench.clock.advance(1);
    }
    expect(reads(bench)).toBe(2);
    const other = open(() => MISSING, false);
    await other.create({}, 0);
    other.clock.advance(60);
    expect((await pod(other)).status).toBe('provisioning');
    expect(reads(other)).toBe(0);
  });

  it('is no verdict when there is no log, or the image came after all, or it is a passing trouble', async () => {
    const bench = open(() => {
      throw new Error('not yet');
    });
    await bench.create({}, 0);
    bench.clock.advance(60);
    expect((await pod(bench)).status).toBe('provisioning');
    expect(pullFailureIn(`${MISSING}Status: Downloaded newer image for foo/bar:nope\n`)).toBe(
      undefined,
    );
    expect(pullFailureIn('toomanyrequests: You have reached your pull rate limit')).toBe(undefined);
    expect(pullFailureIn('net/http: TLS handshake timeout')).toBe(undefined);
    expect(pullFailureIn('')).toBe(undefined);
  });
});
