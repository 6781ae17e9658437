import { afterEach, describe, expect, it } from 'vitest';
import { type Bench, type Loose, openBench } from './bench.ts';

describe('faults of pods', () => {
  let bench: Bench;
  afterEach(async () => bench[Symbol.asyncDispose]());
  const listed = async (): Promise<number> =>
    ((await bench.rest('GET /v2/pods')).body['pods'] as Loose[]).length;
  const runtime = async (id: string): Promise<boolean> =>
    (await bench.pod(id))?.['runtime'] !== null;

  it('list-lag hides a new pod from lists and not from its id', async () => {
    bench = openBench({ faults: [{ kind: 'list-lag', value: 30 }] });
    const id = await bench.create();
    expect([await listed(), (await bench.pod(id))?.['id']]).toEqual([0, id]);
    await bench.clock.advance(31);
    expect(await listed()).toBe(1);
  });

  it('null-once and reads-nothing deny a living pod that goes on billing', async () => {
    bench = openBench({
      faults: [
        { kind: 'null-once', times: 1 },
        { kind: 'reads-nothing', times: 1 },
      ],
    });
    const id = await bench.create();
    expect(await bench.pod(id)).toBeNull();
    expect(await bench.pod(id)).not.toBeNull();
    expect([await listed(), await listed()]).toEqual([0, 1]);
    expect(bench.booked(id).billing).toBe(true);
  });

  it('runtime-flaps and crash-loop take the runtime away and give it back', async () => {
    bench = openBench({ faults: [{ kind: 'runtime-flaps', times: 1 }] });
    const id = await bench.create();
    await bench.clock.advance(70);
    expect([await runtime(id), await runtime(id), await runtime(id)]).toEqual([false, true, false]);
    bench.book.add({ kind: 'crash-loop', times: 1 });
    const looping = await bench.create();
    const seen: boolean[] = [];
    for (let round = 0; round < 4; round += 1) {
      await bench.clock.advance(round === 0 ? 61 : 6);
      seen.push(await runtime(looping));
    }
    expect(seen).toEqual([true, false, true, false]);
    expect((await bench.pod(looping))?.['desiredStatus']).toBe('RUNNING');
  });

  it('exits, vanishes and pod-error end differently, and only the pod that is still asked for is billed', async () => {
    bench = openBench({
      faults: [
        { kind: 'exits', afterSeconds: 10, times: 1 },
        { kind: 'vanishes', afterSeconds: 100, skip: 1, times: 1 },
        { kind: 'pod-error', skip: 2, times: 1 },
      ],
    });
    const [exits, vanishes, error] = [
      await bench.create({ volumeInGb: 0 }),
      await bench.create(),
      await bench.create(),
    ];
    await bench.clock.advance(200);
    expect((await bench.pod(exits))?.['lastStatusChange']).toMatch(/^Exited by Runpod: /);
    expect(await bench.pod(vanishes)).toBeNull();
    const failed = (await bench.rest(`GET /v2/pods/${error}`)).body;
    expect(failed).toMatchObject({ status: 'ERROR', actions: ['start', 'terminate'] });
    expect([exits, vanishes, error].map((id) => bench.booked(id).billing)).toEqual([
      false,
      false,
      true,
    ]);
  });

  it('create-null makes nothing, price-rise makes it dearer, no-machine hides the gateway name for a while', async () => {
    bench = openBench({ faults: [{ kind: 'create-null', times: 1 }] });
    await expect(bench.create()).rejects.toThrow();
    expect(bench.cloud.pods.size).toBe(0);
    bench.book.add({ kind: 'price-rise', value: 2, times: 1 });
    bench.book.add({ kind: 'no-machine', times: 1 });
    const id = await bench.create();
    expect(await bench.pod(id)).toMatchObject({ costPerHr: 1.38, machine: null, machineId: null });
    await bench.clock.advance(31);
    expect((await bench.pod(id))?.['machine']).not.toBeNull();
  });

  it('keys-lost accepts the keys of the account and keeps none', async () => {
    bench = openBench({ faults: [{ kind: 'keys-lost', times: 1 }] });
    const put = async () =>
      bench.rest('PUT /v2/account/ssh-keys', { keys: ['ssh-ed25519 AAAA a'] });
    expect((await put()).status).toBe(200);
    expect(bench.cloud.keys()).toEqual([]);
    await put();
    expect(bench.cloud.keys()).toHaveLength(1);
  });
});
