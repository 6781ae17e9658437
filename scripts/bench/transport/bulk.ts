/* One large file, there and back, whole and in part. */
import { rmSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../../src/core/call.ts';
import { changeSpots, mustBeEqual, noiseFile } from './data.ts';
import { GCM_CIPHER, type Lab, type LinkName, linkWords, rsyncOver, run, sshInto } from './lab.ts';
import { type Row, takeTurns, versus, type Ways } from './rows.ts';
import type { Scale } from './scale.ts';

const { signal } = new AbortController();
const SECOND_IS_OVER = 1.1;
const SEED = 11;

const sizeWords = (mebibytes: number): string =>
  mebibytes >= 1024 ? `${mebibytes / 1024} GiB` : `${mebibytes} MiB`;
const isFar = (name: LinkName): boolean => name !== 'direct';

/** What the file is compared with, how much faster than it we mean to be, and whether the wait is worth it there. */
interface Other {
  readonly beside: string;
  readonly atLeast?: number | undefined;
}

/** A file of noise from the pod. */
export async function fetch(lab: Lab, name: LinkName, scale: Scale): Promise<Row[]> {
  const link = await lab.link(name);
  const server = await lab.server();
  const mebibytes = isFar(name) ? scale.farMebibytes : scale.fileMebibytes;
  const source = path.join(lab.there, 'fetch.bin');
  await noiseFile(source, mebibytes, SEED);
  const into = path.join(lab.here, 'fetched');
  const file = path.join(into, 'data', 'fetch.bin');
  const remote = `${link.destination}:${source}`;
  const cat = `cat ${source}`;
  const ways: Ways = {
    ours: async () => {
      const paths = ['data/fetch.bin'];
      const result = await server.call('fetch_artifacts', {
        podId: link.podId,
        paths,
        localPath: into,
      });
      if ((result['missing'] as unknown[]).length > 0) throw new Error('missing');
    },
    scp: async () => run('scp', ['-q', ...link.fresh, remote, file]),
    scpGcm: async () => run('scp', ['-q', ...link.fresh, ...GCM_CIPHER, remote, file]),
    rsync: async () => run('rsync', ['-a', '-W', ...rsyncOver.fresh(link), remote, file]),
    ...(isFar(name)
      ? {}
      : { cat: async () => sshInto([...link.fresh, ...GCM_CIPHER, link.destination, cat], file) }),
  };
  const took = await takeTurns(only(ways, name), {
    rounds: scale.rounds,
    warmUp: isFar(name) ? 0 : 1,
    async before() {
      rmSync(into, { recursive: true, force: true });
      await mkdir(path.dirname(file), { recursive: true });
    },
    async after() {
      await mustBeEqual(source, file);
    },
  });
  rmSync(source);
  rmSync(into, { recursive: true });
  const work = `fetch ${sizeWords(mebibytes)}`;
  return rowsOf(took, { id: `fetch-${name}`, work, link: linkWords[name] }, fetchOthers(name));
}

function fetchOthers(name: LinkName): Readonly<Record<string, Other>> {
  switch (name) {
    case 'direct':
      return {
        scp: { beside: '`scp`', atLeast: 1.8 },
        cat: { beside: '`ssh -c aes128-gcm cat`', atLeast: 1.1 },
        scpGcm: { beside: '`scp -c aes128-gcm`' },
        rsync: { beside: '`rsync -aW`, fresh' },
      };
    case 'rtt100':
      return {
        scp: { beside: '`scp`', atLeast: 8 },
        rsync: { beside: '`rsync -aW`, fresh', atLeast: 8 },
      };
    case 'thin':
    case 'thin30':
      return {
        scp: { beside: '`scp`', atLeast: 0.95 },
        rsync: { beside: '`rsync -aW`, fresh', atLeast: 0.95 },
      };
    case 'rtt30':
    case 'lossy':
      return { scp: { beside: '`scp`' }, rsync: { beside: '`rsync -aW`, fresh' } };
  }
}

/** A file of noise to the pod. */
export async function send(lab: Lab, name: LinkName, scale: Scale): Promise<Row[]> {
  const link = await lab.link(name);
  const server = await lab.server();
  const mebibytes = isFar(name) ? scale.farMebibytes : scale.fileMebibytes;
  const source = path.join(lab.here, 'send.bin');
  await noiseFile(source, mebibytes, SEED + 1);
  const into = path.join(lab.there, 'sent');
  const file = path.join(into, 'send.bin');
  const copy = path.join(lab.here, 'send', 'send.bin');
  const remote = `${link.destination}:${file}`;
  const ways: Ways = {
    ours: async () => {
      const { profileId } = link;
      const result = await server.call('sync_files', {
        profileId,
        localPath: copy,
        remotePath: file,
      });
      if (result['verified'] !== true) throw new Error('not verified');
    },
    scp: async () => run('scp', ['-q', ...link.fresh, source, remote]),
    scpGcm: async () => run('scp', ['-q', ...link.fresh, ...GCM_CIPHER, source, remote]),
    rsync: async () => run('rsync', ['-a', '-W', ...rsyncOver.fresh(link), source, remote]),
  };
  const took = await takeTurns(only(ways, name), {
    rounds: scale.rounds,
    warmUp: isFar(name) ? 0 : 1,
    async before(way) {
      rmSync(into, { recursive: true, force: true });
      await mkdir(into, { recursive: true });
      if (way !== 'ours') return;
      // Files of its own every time: nothing remembers what they hash to.
      rmSync(path.dirname(copy), { recursive: true, force: true });
      await mkdir(path.dirname(copy), { recursive: true });
      await copyFile(source, copy);
    },
    async after() {
      await mustBeEqual(source, file);
    },
  });
  for (const each of [source, path.dirname(copy), into]) rmSync(each, { recursive: true });
  const work = `send ${sizeWords(mebibytes)}`;
  const target = name === 'direct' ? 1.2 : name === 'rtt100' ? 5 : undefined;
  return rowsOf(
    took,
    { id: `send-${name}`, work, link: linkWords[name] },
    {
      scp: { beside: '`scp`', atLeast: target },
      scpGcm: { beside: '`scp -c aes128-gcm`' },
      rsync: { beside: '`rsync -aW`, fresh' },
    },
  );
}

/** The pod has the file but for 4 KiB in one block of 128 KiB in a hundred. */
export async function delta(lab: Lab, name: LinkName, scale: Scale): Promise<Row[]> {
  const link = await lab.link(name);
  const server = await lab.server();
  const mebibytes = scale.fileMebibytes;
  const source = path.join(lab.here, 'delta', 'delta.bin');
  const old = path.join(lab.here, 'old.bin');
  await noiseFile(source, mebibytes, SEED + 2);
  const to = (way: string): string => path.join(lab.there, `delta-${way}.bin`);
  const first = path.join(lab.here, 'first', 'delta.bin');
  await mkdir(path.dirname(first), { recursive: true });
  const sync = async (localPath: string, remotePath: string): Promise<void> => {
    const { profileId } = link;
    const result = await server.call('sync_files', { profileId, localPath, remotePath });
    if (result['verified'] !== true) throw new Error('not verified');
  };
  let firstTo = '';
  const ways = {
    first: async () => sync(first, firstTo),
    again: async () => sync(source, to('again')),
    rsync: async () =>
      run('rsync', ['-a', ...rsyncOver.fresh(link), source, `${link.destination}:${to('rsync')}`]),
  };
  await ways.again();
  await ways.rsync();
  let changedIn = Number.NaN;
  const took = await takeTurns(ways, {
    rounds: scale.rounds,
    async before(way, round) {
      if (round !== changedIn) {
        changedIn = round;
        await copyFile(source, old);
        await changeSpots(source, mebibytes, 100 + round);
        await systemClock.sleep(SECOND_IS_OVER, { signal });
      }
      if (way !== 'first') return;
      // Both ends new to us: an old file that somebody else put there, and a local one never seen.
      firstTo = path.join(lab.there, `delta-first-${round}.bin`);
      await copyFile(old, firstTo);
      rmSync(first, { force: true });
      await copyFile(source, first);
    },
    async after(way) {
      const file = way === 'first' ? firstTo : to(way);
      await mustBeEqual(source, file);
      if (way === 'first') rmSync(file);
    },
  });
  for (const each of [path.dirname(source), path.dirname(first), old, to('again'), to('rsync')])
    rmSync(each, { recursive: true });
  const work = `${sizeWords(mebibytes)} file, 1 % of blocks changed`;
  const common = {
    link: linkWords[name],
    beside: '`rsync -a`, fresh',
    theirs: took.rsync,
  } as const;
  const isTarget = name === 'direct' || name === 'rtt30';
  return [
    versus({
      ...common,
      id: `delta-first-${name}`,
      work: `${work}, first time`,
      ours: took.first,
      atLeast: isTarget ? 0.9 : undefined,
      how: 'neither end has hashes of it',
    }),
    versus({
      ...common,
      id: `delta-again-${name}`,
      work: `${work}, again`,
      ours: took.again,
      atLeast: isTarget ? 1.3 : undefined,
    }),
  ];
}

/** Over far links only the references of the table: each takes a minute. */
function only(ways: Ways, name: LinkName): Ways {
  if (!isFar(name)) return ways;
  return Object.fromEntries(Object.entries(ways).filter(([way]) => way !== 'scpGcm'));
}

function rowsOf(
  took: Readonly<Record<string, readonly number[]>>,
  common: Pick<Row, 'id' | 'work' | 'link'>,
  others: Readonly<Record<string, Other>>,
): Row[] {
  return Object.entries(others)
    .filter(([way]) => took[way] !== undefined)
    .map(([way, { beside, atLeast }]) =>
      versus({
        ...common,
        id: `${common.id}-${way}`,
        beside,
        ours: took['ours'] ?? [],
        theirs: took[way] ?? [],
        atLeast,
      }),
    );
}
