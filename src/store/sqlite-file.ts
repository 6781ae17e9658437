import { chmod } from 'node:fs/promises';
import path from 'node:path';
import type { Kysely } from 'kysely';
import type Database from 'libsql';
import { z } from 'zod';
import { systemClock } from '../core/call.ts';
import { ConfigError, isAppError } from '../core/errors.ts';
import { makePrivateFolder } from '../core/private-folder.ts';
import { identityOf, makeNew, putBack } from './rescue.ts';

export interface Tables {
  readonly records: {
    readonly position?: number;
    readonly collection: string;
    readonly id: string;
    readonly body: string;
  };
  readonly log: {
    readonly position?: number;
    readonly pod_id: string | null;
    readonly body: string;
  };
}
export type Queries = Kysely<Tables>;

/** One connection to the state file. Its work runs one piece after another. */
export interface Connection {
  /** Single reads; they wait for no writer. */
  read<T>(work: (db: Queries) => Promise<T>): Promise<T>;
  /** One transaction that takes the write lock first, so that what it reads still holds when it commits. */
  write<T>(work: (tx: Queries) => Promise<T>): Promise<T>;
  /** After the work that was asked for before. */
  close(): Promise<void>;
  /** Puts the state back at its path when its file was deleted, after the work that was asked for before. */
  rescue(): Promise<void>;
}

/** Another file, or none, stands at the path of this connection: what is written here, nobody reads. Nothing was done. */
export class FileReplacedError extends Error {}

const SCHEMA_VERSION = 1;
const LOCK_LIMIT_SECONDS = 10;
const LOCK_RETRY_SECONDS = 0.005;

/**
 * Opens (and makes) the state file: folder 0700 when we make it, file 0600, write-ahead log, every commit on disk.
 * Failures are `state_unwritable` that names the folder. `onBroken`: SQLite failed in a way that the connection may not
 * survive; use another one.
 */
export async function openSqlite(file: string, onBroken: () => void): Promise<Connection> {
  try {
    await makePrivateFolder(path.dirname(file));
    // Never opened by us where it is: closing any handle of a file drops all locks that this process holds on it (POSIX),
    // also those of SQLite, and the next process to end would take the log of a living connection with it.
    await makeNew(file);
    await chmod(file, 0o600);
    const [kysely, libsql] = await Promise.all([import('kysely'), import('libsql')]);
    const database = new libsql.default(file);
    try {
      // A blocking wait would stop this process, which may itself hold the lock through another connection.
      database.exec('pragma busy_timeout = 0');
      await whenUnlocked(() => database.exec('pragma journal_mode = wal'));
      database.exec('pragma synchronous = full');
      await whenUnlocked(() => database.exec('begin immediate'));
      migrate(file, database);
      database.exec('commit');
    } catch (failure) {
      database.close();
      throw failure;
    }
    const identity = identityOf(file);
    const db: Queries = new kysely.Kysely({ dialect: new kysely.SqliteDialect({ database }) });
    return connectionOf(file, { db, database, identity, onBroken });
  } catch (cause) {
    throw isAppError(cause) ? cause : brokenState(file, cause);
  }
}

/** As `identityOf`; not being able to look is a failure of the state. */
function placeOf(file: string): string | undefined {
  try {
    return identityOf(file);
  } catch (cause) {
    throw brokenState(file, cause);
  }
}

function migrate(file: string, database: Database.Database): void {
  const row = z.object({ user_version: z.int() });
  const { user_version: version } = row.parse(database.prepare('pragma user_version').get());
  if (version > SCHEMA_VERSION)
    throw new ConfigError(
      'state_unreadable',
      `The state in ${path.dirname(file)} was written by a newer version of gpu-lease.`,
    );
  if (version === SCHEMA_VERSION) return;
  database.exec(`
    create table records (position integer primary key autoincrement, collection text not null, id text not null,
      body text not null, unique (collection, id));
    create table log (position integer primary key autoincrement, pod_id text, body text not null);
    pragma user_version = ${SCHEMA_VERSION};`);
}

function connectionOf(
  file: string,
  {
    db,
    database,
    identity,
    onBroken,
  }: {
    readonly db: Queries;
    readonly database: Database.Database;
    readonly identity: string | undefined;
    readonly onBroken: () => void;
  },
): Connection {
  const fail = (failure: unknown): unknown => {
    if (sqliteCodeOf(failure) === undefined) return failure;
    // A prepared statement that failed stays open in the driver, and no later transaction could commit.
    onBroken();
    return brokenState(file, failure);
  };
  const inTurn = async <T>(work: (db: Queries) => Promise<T>): Promise<T> =>
    db.connection().execute(work);
  const whileInPlace = async <T>(work: (db: Queries) => Promise<T>): Promise<T> =>
    inTurn(async (tx) => {
      if (placeOf(file) !== identity) throw new FileReplacedError();
      return work(tx);
    });
  return {
    async read(work) {
      try {
        return await whileInPlace(work);
      } catch (failure) {
        throw fail(failure);
      }
    },
    async write(work) {
      return whileInPlace(async (tx) => {
        try {
          await whenUnlocked(() => database.exec('begin immediate'));
        } catch (failure) {
          throw brokenState(file, failure);
        }
        try {
          const result = await work(tx);
          database.exec('commit');
          return result;
        } catch (failure) {
          rollBack(database);
          throw fail(failure);
        }
      });
    },
    async rescue() {
      const copyTo = (copy: string): void => {
        database.exec(`vacuum into '${copy.replaceAll("'", "''")}'`);
      };
      await inTurn(async () => putBack(file, copyTo)).catch((cause: unknown) => {
        throw brokenState(file, cause);
      });
    },
    async close() {
      await inTurn(async () => Promise.resolve());
      await db.destroy();
    },
  };
}

/** SQLite may have rolled back by itself (a full disk); the failure before is the one that counts. */
function rollBack(database: Database.Database): void {
  try {
    database.exec('rollback');
  } catch {
    // nothing was open
  }
}

/** Repeats while another connection holds the lock, without blocking this process. */
async function whenUnlocked(work: () => void): Promise<void> {
  const end = systemClock.now().getTime() + LOCK_LIMIT_SECONDS * 1000;
  const { signal } = new AbortController();
  for (;;) {
    try {
      work();
      return;
    } catch (failure) {
      if (!isLocked(failure) || systemClock.now().getTime() > end) throw failure;
    }
    await systemClock.sleep(LOCK_RETRY_SECONDS * (1 + Math.random()), { signal });
  }
}

const sqliteErrorSchema = z.object({ code: z.string().regex(/^SQLITE_/) });

function sqliteCodeOf(failure: unknown): string | undefined {
  return sqliteErrorSchema.safeParse(failure).data?.code;
}
function isLocked(failure: unknown): boolean {
  return /^SQLITE_(?:BUSY|LOCKED)/.test(sqliteCodeOf(failure) ?? '');
}

function brokenState(file: string, cause: unknown): ConfigError {
  const code = sqliteCodeOf(cause) ?? '';
  const why = isLocked(cause)
    ? 'another process holds it locked'
    : /CORRUPT|NOTADB/.test(code)
      ? 'its state file is damaged; it was left as it is'
      : code.includes('FULL')
        ? 'the disk is full'
        : 'it cannot be written';
  const folder = path.dirname(file);
  return new ConfigError('state_unwritable', `The state folder ${folder} does not work: ${why}.`, {
    cause,
  });
}
