import { copyFile, mkdir, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { staleFiles } from '../../../src/files/freshness.ts';
import { fc } from '../../support/property.ts';
import { jobId, openWorld, type World } from './harness.ts';

const YEAR = 365 * 86_400;
const NOW = 1_800_000_000;
/** Written and changed at these times. */
const file = (name: string, modified: number, changed = modified) => ({
  path: name,
  stamp: `${modified}.5/${changed}.5/77`,
});
const stale = (files: readonly ReturnType<typeof file>[], sinceSeconds = 0, nowSeconds = NOW) =>
  [...staleFiles(files, { sinceSeconds, nowSeconds }).keys()].sort();

describe('a file that was there before its job began [AR-13] [L-63]', () => {
  it('is told, one second of doubt on either side is not', () => {
    const since = NOW - 1000;
    const files = [
      file('old.pt', since - 6),
      file('edge.pt', since - 4),
      file('new.pt', since + 1),
    ];
    expect(stale(files, since)).toEqual(['old.pt']);
    expect(stale(files, 0)).toEqual([]);
  });

  it('is not what the job copied with its old times, since it made that', () => {
    expect(stale([file('copy.pt', NOW - YEAR, NOW - 500)], NOW - 1000)).toEqual([]);
  });

  it('is measured by the clock of the pod alone: a year off is no matter, set back is no proof', () => {
    const since = NOW - YEAR - 1000;
    expect(stale([file('a.pt', since + 10)], since, NOW - YEAR)).toEqual([]);
    expect(stale([file('a.pt', since - 10)], since, NOW - YEAR)).toEqual(['a.pt']);
    // It began by a clock that ran ahead, and was set right after that.
    expect(stale([file('a.pt', NOW - 10)], NOW + YEAR, NOW)).toEqual([]);
  });
});

describe('an older epoch with a newer name [AR-13] [L-63]', () => {
  it.each<[string, string[], string[]]>([
    // Names in the order in which they were written, ten minutes apart.
    ['left by an earlier run', ['epoch_50.pt', 'epoch_1.pt', 'epoch_2.pt'], ['epoch_50.pt']],
    [
      'with zeros',
      ['ckpt-0009.pth', 'ckpt-0010.pth', 'ckpt-0002.pth'],
      ['ckpt-0009.pth', 'ckpt-0010.pth'],
    ],
    [
      'in the folder of its name',
      ['run/checkpoint-500/model.safetensors', 'run/checkpoint-100/model.safetensors'],
      ['run/checkpoint-500/model.safetensors'],
    ],
    ['of two numbers', ['epoch=2-step=10.ckpt', 'epoch=1-step=99.ckpt'], ['epoch=2-step=10.ckpt']],
  ])('%s is told', (_what, names, expected) => {
    const files = names.map((name, index) => file(name, NOW - 10_000 + index * 600));
    expect(stale(files)).toEqual(expected);
  });

  it.each<[string, string[]]>([
    ['numbers that rise', ['epoch_1.pt', 'epoch_2.pt', 'epoch_10.pt']],
    ['numbers of other things', ['v50.pt', 'v1.pt', 'model-7b.pt', 'model-2b.pt']],
    ['other rows', ['a/epoch_9.pt', 'b/epoch_1.pt', 'best_epoch_9.pt', 'last_epoch_1.pt']],
    ['files that are no checkpoints', ['step_9.png', 'step_1.png', 'epoch_9.json', 'epoch_1.json']],
    ['words that only end so', ['footstep_9.pt', 'footstep_1.pt']],
  ])('%s are no matter', (_what, names) => {
    const files = names.map((name, index) => file(name, NOW - 10_000 + index * 600));
    expect(stale(files)).toEqual([]);
  });

  it('equal times, and a folder that was copied by name without its times, are no matter', () => {
    const names = Array.from({ length: 20 }, (_unused, index) => `epoch_${index + 1}.pt`);
    expect(stale(names.map((name) => file(name, NOW)))).toEqual([]);
    const copied = names.toSorted().map((name, index) => file(name, NOW + index * 40));
    expect(stale(copied)).toEqual([]);
    // Not so when it took days: nobody copies that slowly.
    const days = names.toSorted().map((name, index) => file(name, NOW + index * 40_000));
    expect(stale(days).length).toBeGreaterThan(0);
  });

  it('no row that was written in its order is ever told, at whatever pace and by whatever clock', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 100_000 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: -40 * YEAR, max: 40 * YEAR }),
        (gaps, skew) => {
          let time = NOW + skew;
          const files = gaps.map((gap, index) => {
            time += gap;
            return file(`out/step-${(index + 1) * 50}.ckpt`, time);
          });
          expect(stale(files.toReversed(), 0, time)).toEqual([]);
        },
      ),
    );
  });
});

describe('fetch_artifacts of a job', () => {
  const WEIGHTS = '[1, 2]';
  function ran(world: World): void {
    const seconds = Math.floor(Date.now() / 1000);
    // It begins after the old files by more than clocks may be off.
    const startedAt = new Date((seconds + 20) * 1000).toISOString();
    world.jobs = [world.job({ artifacts: ['out'], startedAt })];
  }

  it('says of a file from before what it is, and does not call it loaded', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/out/result.json': WEIGHTS });
    ran(world);
    // The pod's clock is past the start by then.
    const shifted = world.over({
      ...world.remote,
      exec: async (podId, script, { stdin, ...options }) => {
        const ahead = String(stdin ?? '').replaceAll('date +%s', 'echo $(($(date +%s) + 60))');
        return world.remote.exec(podId, script, {
          ...options,
          ...(stdin === undefined ? {} : { stdin: ahead }),
        });
      },
    });
    const request = { podId: world.job().podId, jobId, paths: [], exclude: [], strict: false };
    const fetched = await shifted.fetch(
      { ...request, localPath: 'results', verify: 'load', dryRun: false },
      { signal: new AbortController().signal },
    );
    expect(fetched.manifest.files).toMatchObject([
      {
        path: 'out/result.json',
        proof: 'structure',
        problem: expect.stringContaining('before the job began') as string,
      },
    ]);
    expect(await world.store.artifacts.list()).toMatchObject([
      { proof: 'structure', stale: expect.stringContaining('before the job') as string },
    ]);
    // The bytes are home: nothing of it keeps the pod.
    expect(
      await world.files.gates(world.job().podId, { signal: new AbortController().signal }),
    ).toEqual([]);
    // The same bytes of a job that began earlier are a result like any other, also from memory.
    world.jobs = [world.job({ artifacts: ['out'], startedAt: '2020-01-01T00:00:00.000Z' })];
    const again = await world.fetch({ jobId, paths: [] });
    expect(again.manifest.files).toMatchObject([{ proof: 'loaded' }]);
    expect((await world.store.artifacts.list())[0]).not.toHaveProperty('stale');
  });

  it('reads the real times of a pod: the epoch of an earlier run, copied with its times, beside a new one', async () => {
    await using world = await openWorld();
    const folder = world.pod('project/out');
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'epoch_1.npz'), 'x');
    await copyFile(path.join(folder, 'epoch_1.npz'), path.join(folder, 'epoch_9.npz'));
    const { mtimeMs } = await stat(path.join(folder, 'epoch_1.npz'));
    const before = mtimeMs / 1000 - 7200;
    await utimes(path.join(folder, 'epoch_9.npz'), before, before);
    world.jobs = [world.job({ artifacts: ['out'], startedAt: '2020-01-01T00:00:00.000Z' })];
    const { manifest } = await world.fetch({ jobId, paths: [], verify: 'hash' });
    expect(manifest.files).toMatchObject([
      { path: 'out/epoch_9.npz', problem: expect.stringContaining('its name says 9') as string },
      { path: 'out/epoch_1.npz' },
    ]);
    expect(manifest.files[1]).not.toHaveProperty('problem');
  });

  it('a checkpoint that says another step than its folder is told', async () => {
    await using world = await openWorld();
    const state = (step: number) => JSON.stringify({ global_step: step, log_history: [] });
    await world.writePod({
      'project/out/checkpoint-500/trainer_state.json': state(300),
      'project/out/checkpoint-300/trainer_state.json': state(300),
      'project/out/checkpoint-7/trainer_state.json': '[7]',
    });
    world.jobs = [world.job({ artifacts: ['out'] })];
    const { manifest } = await world.fetch({ jobId, paths: [] });
    const told = manifest.files.filter(({ problem }) => problem !== undefined);
    expect(told).toMatchObject([
      {
        path: 'out/checkpoint-500/trainer_state.json',
        proof: 'structure',
        problem: 'its folder says step 500, and it says step 300 itself',
      },
    ]);
  });
});
