/* Folders: cold, unchanged, a little changed, and edited faster than a clock of seconds tells. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../../src/core/call.ts';
import { numberAt } from '../../../test/support/built-server.ts';
import { randomFrom } from '../../../test/support/random.ts';
import { changeFiles, freshCopy, mixedTree, mustBeEqual, smallTree } from './data.ts';
import { type Lab, type Link, type LinkName, linkWords, rsyncOver, run } from './lab.ts';
import { type Row, takeTurns, versus, type Ways } from './rows.ts';
import type { Scale } from './scale.ts';

const { signal } = new AbortController();
/** rsync compares whole seconds: after this an edit is one for it too. */
const SECOND_IS_OVER = 1.1;
const EDITS_PER_ROUND = 50;

type Tree = 'small' | 'mixed';
const SYNC_FLAGS = ['--delete'] as const;

/** `rsync FLAGS` of a folder's contents into a folder of the pod. */
const rsync = async (
  link: Link,
  over: keyof typeof rsyncOver,
  flags: string,
  from: string,
  to: string,
): Promise<void> =>
  run('rsync', [
    flags,
    ...SYNC_FLAGS,
    ...rsyncOver[over](link),
    `${from}/`,
    `${link.destination}:${to}/`,
  ]);

async function makeTree(folder: string, tree: Tree, scale: Scale): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true });
  if (tree === 'small') return smallTree(folder, scale.smallFiles);
  mixedTree(folder, scale.mixedFiles);
  return [];
}

async function sync(
  lab: Lab,
  { profileId }: Link,
  localPath: string,
  remotePath: string,
): Promise<number> {
  const server = await lab.server();
  const result = await server.call('sync_files', { profileId, localPath, remotePath });
  if (result['verified'] !== true) throw new Error('not verified');
  return numberAt(result, 'sent.files');
}

/** A tree that the pod has never seen, from files that no cache of ours has seen. */
export async function cold(lab: Lab, tree: Tree, name: LinkName, scale: Scale): Promise<Row[]> {
  const link = await lab.link(name);
  const source = path.join(lab.here, `${tree}-${name}`);
  await makeTree(source, tree, scale);
  const to = (way: string): string => path.join(lab.there, `${tree}-${name}-${way}`);
  let copy = '';
  const ways: Ways = {
    ours: async () => {
      await sync(lab, link, copy, to('ours'));
    },
    fresh: async () => rsync(link, 'fresh', '-az', source, to('fresh')),
    mux: async () => rsync(link, 'mux', '-az', source, to('mux')),
    plain: async () => rsync(link, 'fresh', '-a', source, to('plain')),
    plainMux: async () => rsync(link, 'mux', '-a', source, to('plainMux')),
  };
  const took = await takeTurns(ways, {
    rounds: scale.rounds,
    async before(way, round) {
      copy = `${source}-${round}`;
      if (way === 'ours') freshCopy(source, copy);
      await mkdir(to(way), { recursive: true });
    },
    async after(way) {
      await mustBeEqual(source, to(way));
      rmSync(to(way), { recursive: true });
      if (way === 'ours') rmSync(copy, { recursive: true });
    },
  });
  rmSync(source, { recursive: true });
  const work =
    tree === 'small'
      ? `sync ${scale.smallFiles} small files, cold`
      : `sync a mixed tree (${scale.mixedFiles} files), cold`;
  const row = (way: string, beside: string, atLeast?: number): Row =>
    versus({
      id: `cold-${tree}-${name}-${way}`,
      work,
      link: linkWords[name],
      beside,
      ours: took['ours'] ?? [],
      theirs: took[way] ?? [],
      atLeast,
    });
  const isTarget = name === 'direct' || name === 'rtt30';
  return [
    row('fresh', '`rsync -az`, fresh', isTarget ? (tree === 'small' ? 1.5 : 1.3) : undefined),
    row('mux', '`rsync -az`, mux', isTarget && tree === 'small' ? 1.2 : undefined),
    row('plain', '`rsync -a`, fresh'),
    row('plainMux', '`rsync -a`, mux'),
  ];
}

/** The same small tree again, as it was or with one file in a hundred changed. */
export async function again(lab: Lab, name: LinkName, scale: Scale): Promise<Row[]> {
  const link = await lab.link(name);
  const source = path.join(lab.here, `again-${name}`);
  const names = await makeTree(source, 'small', scale);
  const to = (way: string): string => path.join(lab.there, `again-${name}-${way}`);
  const ways = {
    ours: async () => {
      sent = await sync(lab, link, source, to('ours'));
    },
    fresh: async () => rsync(link, 'fresh', '-az', source, to('fresh')),
    mux: async () => rsync(link, 'mux', '-a', source, to('mux')),
  };
  let sent = 0;
  let expected = scale.smallFiles;
  for (const way of Object.values(ways)) await way();
  expected = 0;
  const check = (way: string): void => {
    if (way === 'ours' && sent !== expected) throw new Error(`sent ${sent}, not ${expected} files`);
  };
  await systemClock.sleep(SECOND_IS_OVER * 2, { signal });
  const same = await takeTurns(ways, {
    rounds: scale.rounds + 2,
    async after(way) {
      check(way);
      return Promise.resolve();
    },
  });
  let changedIn = Number.NaN;
  const changed = await takeTurns(ways, {
    rounds: scale.rounds + 2,
    async before(_way, round) {
      if (round === changedIn) return;
      changedIn = round;
      expected = changeFiles(source, names, 100, round + 50);
      await systemClock.sleep(SECOND_IS_OVER, { signal });
    },
    async after(way) {
      check(way);
      await mustBeEqual(source, to(way));
    },
  });
  for (const way of Object.keys(ways)) rmSync(to(way), { recursive: true });
  rmSync(source, { recursive: true });
  const isNear = name === 'direct';
  const files = `${scale.smallFiles} files`;
  const common = { link: linkWords[name], unit: 'ms' } as const;
  const pair = (
    id: string,
    work: string,
    took: typeof same,
    fresh?: number,
    mux?: number,
  ): Row[] => [
    versus({
      ...common,
      id: `${id}-${name}-fresh`,
      work,
      beside: '`rsync -az`, fresh',
      ours: took.ours,
      theirs: took.fresh,
      atLeast: fresh,
    }),
    versus({
      ...common,
      id: `${id}-${name}-mux`,
      work,
      beside: '`rsync -a`, mux',
      ours: took.ours,
      theirs: took.mux,
      atLeast: mux,
    }),
  ];
  return [
    ...pair('unchanged', `${files}, nothing changed`, same, isNear ? 5 : 6, isNear ? 2 : 3),
    ...pair('one-percent', `${files}, 1 % changed`, changed, isNear ? undefined : 4),
  ];
}

/** Edits of the same size right after a sync: how many never arrive. */
export async function sameSecond(lab: Lab, { editRounds }: Scale): Promise<Row[]> {
  const link = await lab.link('direct');
  const random = randomFrom(7);
  const missed = { ours: 0, rsync: 0 };
  for (const way of ['ours', 'rsync'] as const) {
    const source = path.join(lab.here, `edits-${way}`);
    const to = path.join(lab.there, `edits-${way}`);
    await mkdir(source, { recursive: true });
    const names = Array.from({ length: EDITS_PER_ROUND }, (_, index) => `file${index}.txt`);
    const write = (): void => {
      for (const name of names)
        writeFileSync(path.join(source, name), String(random()).padEnd(24, '0').repeat(20));
    };
    const move = async (): Promise<void> => {
      if (way === 'ours') await sync(lab, link, source, to);
      else await rsync(link, 'mux', '-a', source, to);
    };
    write();
    await move();
    for (let round = 0; round < editRounds; round += 1) {
      write();
      await move();
      for (const name of names) {
        const [one, other] = [source, to].map((folder) =>
          readFileSync(path.join(folder, name), 'utf8'),
        );
        if (one !== other) missed[way] += 1;
      }
    }
    rmSync(source, { recursive: true });
    rmSync(to, { recursive: true });
  }
  const edits = editRounds * EDITS_PER_ROUND;
  return [
    {
      id: 'same-second',
      work: `same-size edits within one second of the last sync, missed of ${edits}`,
      link: linkWords.direct,
      beside: `\`rsync -a\` over mux: ${missed.rsync} missed`,
      target: { value: 0, unit: 'lost', atMost: true },
      figure: missed.ours,
      unit: 'lost',
      seriesUnit: '',
    },
  ];
}
