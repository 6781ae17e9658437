import { createHash } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { PodId } from '../core/ids.ts';
import { randomToken } from '../core/ids.ts';
import { isAlive, processIdentity } from '../core/local-process.ts';
import { STAGING_PREFIX } from './sync-look.ts';

/** A folder on a pod into which this process alone writes, inside the target so that a rename is enough. */
export interface Staging extends AsyncDisposable {
  readonly name: string;
  /** Another sync of this home was at work on the same target when this one began to send. */
  readonly isBeside: boolean;
}
export interface Stagings {
  /** The one of this pod and target, so that what a killed process sent is found again; another while that one is in use. */
  open(podId: PodId, real: string): Promise<Staging>;
  /** Those of `names` that a process of this home left behind. */
  abandoned(names: readonly string[]): Promise<readonly string[]>;
}

const ownerSchema = z.object({ pid: z.int(), startedAt: z.string() });
const ID_LETTERS = 10;

/** Which process writes into which staging folder is kept below `home`, so that servers of one home do not meet. */
export function createStagings(home: string): Stagings {
  const folder = path.join(home, 'sync-locks');
  let known: Promise<string> | undefined;
  const homeId = async (): Promise<string> => (known ??= readId(folder));
  return {
    async open(podId, real) {
      const own = `${STAGING_PREFIX}${await homeId()}-`;
      const key = createHash('sha256').update(`${podId}\0${real}`).digest('hex').slice(0, 16);
      const usual = `${own}${key}`;
      for (const name of [usual, `${own}${randomToken(12)}`]) {
        const lock = path.join(folder, name);
        if (await take(lock))
          return {
            name,
            isBeside: name !== usual,
            // One that stays is this process's own until it ends; why the call ended must not be hidden by it.
            [Symbol.asyncDispose]: async () => rm(lock, { force: true }).catch(() => undefined),
          };
      }
      // A home that cannot be written: a name nobody else can have, and nothing to go on with later.
      return {
        name: `${STAGING_PREFIX}${randomToken(20)}`,
        isBeside: await isHeld(path.join(folder, usual)),
        [Symbol.asyncDispose]: async () => Promise.resolve(),
      };
    },
    async abandoned(names) {
      const own = `${STAGING_PREFIX}${await homeId()}-`;
      const left: string[] = [];
      for (const name of names)
        if (name.startsWith(own) && !(await isHeld(path.join(folder, name)))) left.push(name);
      return left;
    },
  };
}

async function readId(folder: string): Promise<string> {
  const file = path.join(folder, 'id');
  const fresh = randomToken(ID_LETTERS);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const draft = `${file}.${fresh}`;
    await writeFile(draft, fresh, { mode: 0o600 });
    await link(draft, file).catch(() => undefined);
    await rm(draft, { force: true });
    const id = await readFile(file, 'utf8');
    return /^[\w]{4,40}$/.test(id) ? id : fresh;
  } catch {
    return fresh;
  }
}

async function take(lock: string): Promise<boolean> {
  const mine = await processIdentity(process.pid);
  if (mine === undefined) return false;
  const draft = `${lock}.${randomToken(8)}`;
  try {
    await writeFile(draft, JSON.stringify(mine), { mode: 0o600 });
    for (let attempt = 0; attempt < 2; attempt += 1) {
      if (await linked(draft, lock)) return true;
      const owner = await ownerOf(lock);
      if (owner !== undefined && (await isAlive(owner))) return false;
      // Moved away, not removed: should another have taken it since, it is put back.
      const away = `${lock}.${randomToken(8)}`;
      await rename(lock, away).catch(() => undefined);
      const moved = await ownerOf(away);
      if (moved !== undefined && (await isAlive(moved))) await linked(away, lock);
      await rm(away, { force: true });
    }
    return false;
  } catch {
    return false;
  } finally {
    await rm(draft, { force: true });
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  return link(from, to).then(
    () => true,
    () => false,
  );
}

async function isHeld(lock: string): Promise<boolean> {
  const owner = await ownerOf(lock);
  return owner !== undefined && (await isAlive(owner));
}

async function ownerOf(lock: string): Promise<z.output<typeof ownerSchema> | undefined> {
  const text = await readFile(lock, 'utf8').catch(() => '');
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
