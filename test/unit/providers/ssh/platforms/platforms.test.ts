import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { podIdOfProfile, profileIdSchema } from '../../../../../src/core/ids.ts';
import { diskOf, diskWarning, isStale, type Platform } from '../../../../../src/core/platform.ts';
import { factsOf } from '../../../../../src/providers/ssh/platforms/facts.ts';
import { PLAIN } from '../../../../../src/providers/ssh/platforms/plain.ts';
import { createPlatforms } from '../../../../../src/providers/ssh/platforms/platforms.ts';
import {
  lookScript,
  PLATFORMS,
  parseLook,
  platformById,
  platformOfHost,
  platformOfMarks,
  type Seen,
} from '../../../../../src/providers/ssh/platforms/recognise.ts';
import { createMemoryStore } from '../../../../../src/store/memory.ts';
import { ManualClock } from '../../../../support/clock.ts';
import { fc } from '../../../../support/property.ts';
import { createShellRemote } from '../../../../support/shell-remote.ts';

const { signal } = new AbortController();
const NOW = new Date('2026-07-15T00:00:00Z');
const seenOf = (seen: {
  present?: readonly string[];
  mounted?: readonly string[];
  variables?: readonly string[];
  hasSlurm?: boolean;
}): Seen => ({
  present: new Set(seen.present),
  mounted: new Set(seen.mounted),
  variables: new Set(seen.variables),
  hasSlurm: seen.hasSlurm ?? false,
});
const platform = (id: string): Platform => platformById(id) ?? expect.fail(id);

describe('the data of the platforms [VO-08] [MO-12]', () => {
  it('knows every platform of its sheets, each once', () => {
    const ids = PLATFORMS.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)]);
    expect(ids).toEqual(
      expect.arrayContaining([
        ...['autodl', 'matpool', 'gpushare', 'featurize', 'lanrui', 'paperspace'],
        ...['lambda', 'runpod', 'vast', 'slurm', 'plain'],
      ]),
    );
  });

  it.each(PLATFORMS.map((one) => ({ ...one })))('$title is dated, sourced and whole', (one) => {
    expect(one.verified).toMatch(/^20\d\d-(?:0[1-9]|1[0-2])$/);
    expect(one.source.length).toBeGreaterThan(5);
    expect(one.dangerClocks.length).toBeGreaterThan(0);
    for (const { path: folder } of one.paths) expect(folder).toMatch(/^\//);
    for (const { survivesStop, survivesDestroy } of one.paths)
      if (survivesDestroy) expect(survivesStop).toBe(true);
    if (one.durableFolder !== undefined)
      expect(diskOf(one.durableFolder, one.paths)).toMatchObject({ survivesDestroy: true });
    if (one.dataFolder !== undefined && one.paths.length > 0)
      expect(diskOf(one.dataFolder, one.paths)).toBeDefined();
    expect(one.meterStop.verb === undefined).toBe(one.id === 'plain');
  });

  it.each([
    ['autodl', '15 days', 'released'],
    ['gpushare', '24 hours', '/hy-tmp is wiped'],
    ['gpushare', '10 days', 'released'],
    ['paperspace', '1 hour to 1 week', 'work running or not'],
    ['lanrui', 'by the hour', 'until it is destroyed'],
    ['lambda', 'no stop', 'until it is terminated'],
  ])('%s: the clock of "%s" is told [VO-08]', (id, after, effect) => {
    const told = factsOf(platform(id), undefined, NOW).warnings.find((one) => one.includes(after));
    expect(told).toContain(effect);
  });

  it('names the verb that ends the meter, whether it can be undone, and what goes on costing', () => {
    const words = (id: string): string => factsOf(platform(id), undefined, NOW).meterStop;
    expect(words('autodl')).toContain('关机');
    expect(words('autodl')).not.toContain('cannot be undone');
    expect(words('matpool')).toContain('cannot be undone');
    expect(words('lanrui')).toContain('data disk by the hour');
    expect(words('plain')).toContain('only its owner');
    for (const { id } of PLATFORMS.filter((one) => one.id !== 'plain'))
      expect(words(id)).toContain('only the user can do it');
  });

  it('grows stale after six months, and says so', () => {
    expect(isStale('2026-06', new Date('2026-11-30T23:59:59Z'))).toBe(false);
    expect(isStale('2026-06', new Date('2026-12-01T00:00:00Z'))).toBe(true);
    expect(isStale('nonsense', NOW)).toBe(true);
    const old = factsOf(platform('autodl'), undefined, new Date('2027-01-01T00:00:00Z'));
    expect(old.warnings.at(-1)).toContain('half a year');
    expect(factsOf(platform('autodl'), undefined, NOW).warnings.join()).not.toContain(
      'half a year',
    );
  });
});

describe('recognising a platform', () => {
  it.each([
    ['connect.westb.seetacloud.com', 'autodl'],
    ['region-1.autodl.com', 'autodl'],
    ['hz-t2.matpool.com', 'matpool'],
    ['i-1.gpushare.com', 'gpushare'],
    ['ssh.zone.lanrui-ai.com', 'lanrui'],
    ['ssh.runpod.io', 'runpod'],
    ['SSH4.vast.ai', 'vast'],
    ['seetacloud.com.example', undefined],
    ['notautodl.com.cn', undefined],
    ['10.0.0.1', undefined],
  ])('the address %s tells %s', (host, id) => {
    expect(platformOfHost(host)?.id).toBe(id);
  });

  it.each([
    [{ present: ['/root/autodl-tmp'] }, 'autodl'],
    [{ variables: ['AutoDLContainerUUID'] }, 'autodl'],
    [{ present: ['/hy-tmp'] }, 'gpushare'],
    [{ present: ['/mnt'] }, undefined],
    [{ present: ['/mnt', '/root/miniconda3/envs/myconda'] }, 'matpool'],
    [{ variables: ['RUNPOD_POD_ID'], present: ['/mnt'] }, 'runpod'],
    [{ variables: ['VAST_CONTAINERLABEL'] }, 'vast'],
    [{ present: ['/lambda/nfs'] }, 'lambda'],
    [{ present: ['/home/paperspace'] }, 'paperspace'],
    [{ hasSlurm: true }, 'slurm'],
    [{}, undefined],
  ])('marks %j tell %s', (seen, id) => {
    expect(platformOfMarks(seenOf(seen))?.id).toBe(id);
  });

  it('the look asks for names alone and runs in a plain sh', () => {
    const secret = 'value-that-stays-there';
    const { status, stdout, stderr } = spawnSync('sh', ['-c', lookScript()], {
      env: { PATH: process.env['PATH'], AutoDLContainerUUID: secret, OTHER: secret },
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('variable AutoDLContainerUUID\n');
    expect(stdout).not.toContain(secret);
    expect(platformOfMarks(parseLook(stdout))?.id).toBe('autodl');
  });

  it('an answer is data: whatever a machine prints, only our own names come through', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (lines) => {
        const seen = parseLook([...lines, 'file /hy-tmp', 'file /etc/passwd'].join('\n'));
        expect(seen.present.has('/hy-tmp')).toBe(true);
        expect(seen.present.has('/etc/passwd')).toBe(false);
      }),
    );
  });
});

describe('what a look adds', () => {
  it('a durable folder that is no file system of its own outlives nothing', () => {
    const here = seenOf({ present: ['/root/autodl-tmp', '/root/autodl-fs'] });
    const facts = factsOf(platform('autodl'), here, NOW);
    expect(facts.paths).toContainEqual({
      path: '/root/autodl-fs',
      survivesStop: true,
      survivesDestroy: false,
    });
    expect(facts.warnings[0]).toContain('/root/autodl-fs');
    const mounted = seenOf({ present: ['/root/autodl-fs'], mounted: ['/root/autodl-fs'] });
    const safe = factsOf(platform('autodl'), mounted, NOW);
    expect(diskOf('/root/autodl-fs/x', safe.paths)?.survivesDestroy).toBe(true);
    expect(safe.warnings.join()).not.toContain('not mounted');
    // Pro machines have no data disk: then it is not spoken of.
    expect(safe.paths.map((one) => one.path)).not.toContain('/root/autodl-tmp');
  });
});

describe('results on a disk that goes [VO-05] [MO-16]', () => {
  const { paths } = factsOf(platform('gpushare'), undefined, NOW);
  it.each([
    ['/root/out.pt', '/hy-netdisk'],
    ['/hy-tmp/run/out.pt', '/hy-netdisk'],
  ])('%s is warned of, and %s is named', (file, safe) => {
    const warning = diskWarning([file], paths, 'stop');
    expect(warning).toContain('a stop of the machine wipes');
    expect(warning).toContain(safe);
  });

  it('says nothing where results last, or where nobody knows', () => {
    expect(diskWarning(['/hy-netdisk/out.pt'], paths, 'stop')).toBeUndefined();
    expect(diskWarning(['/root/x'], PLAIN.paths, 'stop')).toBeUndefined();
    expect(diskWarning([], paths, 'stop')).toBeUndefined();
    expect(diskWarning(['/root/x'], platform('vast').paths, 'destroy')).toBeUndefined();
    expect(diskWarning(['/root/x'], platform('lambda').paths, 'destroy')).toContain('/lambda/nfs');
  });

  it('a folder is its own and not the start of another name', () => {
    const disks = [
      { path: '/', survivesStop: false, survivesDestroy: false },
      { path: '/data', survivesStop: true, survivesDestroy: true },
    ];
    expect(diskOf('/data', disks)?.path).toBe('/data');
    expect(diskOf('/data/x', disks)?.path).toBe('/data');
    expect(diskOf('/database/x', disks)?.path).toBe('/');
    expect(diskOf('/x', [])).toBeUndefined();
  });
});

describe('one machine', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'gl-platform-'));
  });
  afterEach(async () => rm(folder, { recursive: true, force: true }));

  const profileId = profileIdSchema.parse('lab');
  const podId = podIdOfProfile(profileId);
  async function open(host: string, saved?: string) {
    const store = createMemoryStore();
    const remote = createShellRemote(path.join(folder, 'home'));
    const clock = new ManualClock();
    const profile = { profileId, host, port: 22, isDefault: false };
    await store.profiles.put(
      'lab',
      saved === undefined ? profile : { ...profile, platform: saved },
    );
    return { store, remote, platforms: createPlatforms({ store, remote, clock }) };
  }

  it('is known by its address without a look, and looked at once', async () => {
    const { platforms, remote } = await open('connect.bjb1.seetacloud.com');
    remote.down = true;
    const unseen = await platforms.of(podId, { signal, mayLook: false });
    expect(unseen?.platform.id).toBe('autodl');
    // A machine that does not answer is no failure, and is asked again.
    expect((await platforms.of(podId, { signal, mayLook: true }))?.platform.id).toBe('autodl');
    remote.down = false;
    const seen = await platforms.of(podId, { signal, mayLook: true });
    expect(seen?.warnings.join()).toContain('not mounted');
    remote.down = true;
    expect((await platforms.of(podId, { signal, mayLook: true }))?.warnings).toEqual(
      seen?.warnings,
    );
  });

  it('what was recognised before counts while nothing else tells', async () => {
    const { platforms } = await open('10.0.0.1', 'featurize');
    expect((await platforms.of(podId, { signal, mayLook: false }))?.platform.id).toBe('featurize');
    const plain = await open('10.0.0.1');
    expect((await plain.platforms.of(podId, { signal, mayLook: true }))?.platform.id).toBe('plain');
  });

  it('a pod of a cloud and a profile that is not there are none of its business', async () => {
    const { platforms, store } = await open('h');
    expect(await platforms.of('local:x' as never, { signal, mayLook: true })).toBeUndefined();
    await store.profiles.delete('lab');
    expect(await platforms.of(podId, { signal, mayLook: true })).toBeUndefined();
  });
});
