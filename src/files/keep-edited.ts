import { type BigIntStats, constants } from 'node:fs';
import { copyFile, link, lstat } from 'node:fs/promises';
import path from 'node:path';
import { count } from '../core/count.ts';
import { InputError, isAppError, ToldError } from '../core/errors.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { hashLocalFile, isHome } from './land.ts';
import { goneIsNothing } from './open-local.ts';
import { identityOf } from './partial-file.ts';

export interface Keeper {
  /** Called just before a file with that hash takes the name below the destination. */
  readonly giveWay: (name: string, sha256: string) => Promise<void>;
  /** Where what gave way is now, by the name below the destination. */
  readonly kept: ReadonlyMap<string, string>;
}
/** What earlier fetches put below the destination. */
export interface PutBefore {
  /** Nobody touched the file of that name since. */
  readonly isUntouched: (name: string) => boolean;
  readonly isOurs: (file: string, bytes: number, sha256: string) => Promise<boolean>;
}

const TRIES = 5;
const MOST_NAMES = 100;
const MAX_NAME_BYTES = 255;

/**
 * Gives what stands in the way of a file that lands a second name beside it, unless an earlier fetch put it there or it holds
 * what lands: a person's file is not replaced without being kept. The name ends in its hash: the same bytes are kept once.
 */
export function createKeeper(destination: string, before: PutBefore, signal: AbortSignal): Keeper {
  const kept = new Map<string, string>();
  return {
    kept,
    async giveWay(name, lands) {
      const file = path.join(destination, name);
      for (let round = 0; round < TRIES; round += 1) {
        const stats = await statsOf(file);
        if (stats?.isFile() !== true || before.isUntouched(name)) return;
        const bytes = Number(stats.size);
        const sha256 = await hashLocalFile(file, bytes, signal).catch(goneIsNothing);
        const now = await statsOf(file);
        // Somebody writes to it right now.
        if (sha256 === undefined || now === undefined || identityOf(now) !== identityOf(stats))
          continue;
        if (sha256 === lands || (await before.isOurs(file, bytes, sha256))) return;
        const keptAs = await keep(file, { bytes, sha256 }, signal);
        kept.set(name, path.join(path.dirname(file), keptAs));
        return;
      }
      throw new InputError(
        'invalid_input',
        'Below localPath something writes to a file that this fetch would replace. It was left as it is.',
        { hint: 'Call again when nothing else writes there, or choose another localPath.' },
      );
    },
  };
}

const SHOWN_KEPT = 20;

/** Throws what broke a fetch that had kept files already, with their names: no later answer has them. */
export function throwWithKept(thrown: unknown, kept: Keeper['kept']): never {
  if (kept.size === 0 || !isAppError(thrown)) throw thrown;
  const names = [...kept.values()];
  const more = names.length > SHOWN_KEPT ? `\nand ${names.length - SHOWN_KEPT} more` : '';
  throw new ToldError(
    thrown,
    `Before that, ${count(kept.size, 'file')} here gave way and ${kept.size === 1 ? 'is' : 'are'} kept beside what came, under the names given.`,
    quoteForeign(`kept: ${names.slice(0, SHOWN_KEPT).join('\nkept: ')}${more}`, 6000),
  );
}

async function keep(
  file: string,
  content: { readonly bytes: number; readonly sha256: string },
  signal: AbortSignal,
): Promise<string> {
  const first = keptName(path.basename(file), content.sha256);
  for (let nth = 0; nth < MOST_NAMES; nth += 1) {
    const name = nth === 0 ? first : `${first}-${nth}`;
    const target = path.join(path.dirname(file), name);
    if (await isHome(target, content, signal)) return name;
    if ((await statsOf(target)) === undefined && (await named(file, target))) return name;
  }
  throw new InputError(
    'invalid_input',
    'A file below localPath was edited and cannot be kept under another name. It was left as it is.',
    { hint: 'Choose another localPath.' },
  );
}

/** False when somebody else was faster. A name of its own costs nothing; where a file system has no second names, a copy is made. */
async function named(file: string, target: string): Promise<boolean> {
  try {
    await link(file, target);
    return true;
  } catch (failure) {
    if (isThere(failure)) return false;
  }
  try {
    await copyFile(file, target, constants.COPYFILE_EXCL);
    return true;
  } catch (failure) {
    if (isThere(failure)) return false;
    throw failure;
  }
}

function isThere(failure: unknown): boolean {
  return failure instanceof Error && 'code' in failure && failure.code === 'EEXIST';
}

function keptName(name: string, sha256: string): string {
  const end = `.kept-${sha256.slice(0, 12)}`;
  // Room for a number behind it. Whole characters only.
  const room = MAX_NAME_BYTES - end.length - String(MOST_NAMES).length - 1;
  const bytes = Buffer.from(name);
  return bytes.length <= room
    ? `${name}${end}`
    : `${bytes
        .subarray(0, room)
        .toString()
        .replace(/\uFFFD+$/, '')}${end}`;
}

async function statsOf(file: string): Promise<BigIntStats | undefined> {
  return lstat(file, { bigint: true }).catch(goneIsNothing);
}
