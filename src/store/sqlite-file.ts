import { chmod, mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import type { Kysely, Transaction } from 'kysely';
import { z } from 'zod';
import { systemClock } from '../core/call.ts';
import { ConfigError, isAppError } from '../core/errors.ts';

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
export type Db = Kysely<Tables>;
export type Queries = Db | Transaction<Tables>;

const SCHEMA_VERSION = 1;
const LOCK_LIMIT_SECONDS = 10;
const LOCK_RETRY_SECONDS = 0.01;

/**
 * Opens (and makes) the state file: folder 0700 when we make it, file 0600, write-ahead log, every commit on disk.
 * Throws `state_unwritable` that names the folder.
 */
export async function openSqlite(file: string): Promise<Db> {
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    const handle = await open(file, 'a', 0o600);
    await handle.close();
    await chmod(file, 0o600);
    const [{ Kysely: Kysely_, SqliteDialect, sql }, { default: Database }] = await Promise.all([
      import('kysely'),
      import('libsql'),
    ]);
    const db: Db = new Kysely_<Tables>({
      dialect: new SqliteDialect({ database: new Database(file) }),
    });
    try {
      // A blocking wait would stop this process, which may itself hold the lock through another connection.
      await sql`pragma busy_timeout = 0`.execute(db);
      await whenUnlocked(file, async () => sql`pragma journal_mode = wal`.execute(db));
      await sql`pragma synchronous = full`.execute(db);
      await immediately(file, db, async (tx) => migrate(file, tx));
      return db;
    } catch (failure) {
      await db.destroy();
      throw failure;
    }
  } catch (cause) {
    throw isAppError(cause) ? cause : brokenState(file, cause);
  }
}

async function migrate(file: string, tx: Queries): Promise<void> {
  const { sql } = await import('kysely');
  const { rows } = await sql`pragma user_version`.execute(tx);
  const version = z.tuple([z.object({ user_version: z.int() })]).parse(rows)[0].user_version;
  if (version > SCHEMA_VERSION)
    throw new ConfigError(
      'state_unreadable',
      `The state in ${path.dirname(file)} was written by a newer version of gpu-lease.`,
    );
  if (version === SCHEMA_VERSION) return;
  await sql`create table records (position integer primary key autoincrement, collection text not null, id text not null,
    body text not null, unique (collection, id))`.execute(tx);
  await sql`create table log (position integer primary key autoincrement, pod_id text, body text not null)`.execute(
    tx,
  );
  await sql.raw(`pragma user_version = ${SCHEMA_VERSION}`).execute(tx);
}

/** One transaction that takes the write lock first, so that what it reads still holds when it commits. */
export async function immediately<T>(
  file: string,
  db: Db,
  work: (tx: Queries) => Promise<T>,
): Promise<T> {
  const { sql } = await import('kysely');
  return db.connection().execute(async (connection) => {
    await whenUnlocked(file, async () => sql`begin immediate`.execute(connection));
    try {
      const result = await work(connection);
      await whenUnlocked(file, async () => sql`commit`.execute(connection));
      return result;
    } catch (failure) {
      // SQLite may have rolled back by itself (a full disk); the first failure is the one that counts.
      await sql`rollback`.execute(connection).catch(() => undefined);
      throw stateError(file, failure);
    }
  });
}

/** Repeats while another connection holds the lock, without blocking this process. */
export async function whenUnlocked<T>(file: string, work: () => Promise<T>): Promise<T> {
  const end = systemClock.now().getTime() + LOCK_LIMIT_SECONDS * 1000;
  const { signal } = new AbortController();
  for (;;) {
    try {
      return await work();
    } catch (failure) {
      if (!isLocked(failure) || systemClock.now().getTime() > end) throw stateError(file, failure);
      await systemClock.sleep(LOCK_RETRY_SECONDS * (1 + Math.random()), { signal });
    }
  }
}

const sqliteErrorSchema = z.object({ code: z.string().regex(/^SQLITE_/) });

function sqliteCodeOf(failure: unknown): string | undefined {
  return sqliteErrorSchema.safeParse(failure).data?.code;
}
function isLocked(failure: unknown): boolean {
  return /^SQLITE_(?:BUSY|LOCKED)/.test(sqliteCodeOf(failure) ?? '');
}

/** A failure of SQLite in our words; any other passes as it is. */
function stateError(file: string, failure: unknown): unknown {
  return sqliteCodeOf(failure) === undefined ? failure : brokenState(file, failure);
}

function brokenState(file: string, cause: unknown): ConfigError {
  const code = sqliteCodeOf(cause) ?? '';
  const why = isLocked(cause)
    ? 'another process holds it locked'
    : /CORRUPT|NOTADB/.test(code)
      ? 'its state file is damaged; it was left as it is'
      : /FULL/.test(code)
        ? 'the disk is full'
        : 'it cannot be written';
  const folder = path.dirname(file);
  return new ConfigError('state_unwritable', `The state folder ${folder} does not work: ${why}.`, {
    cause,
  });
}
