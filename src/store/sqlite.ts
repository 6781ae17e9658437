import path from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../core/errors.ts';
import { artifactRecordSchema } from '../core/files.ts';
import { hostSchema } from '../core/host.ts';
import { jobSchema } from '../core/job.ts';
import { leaseSchema, quoteSchema, receiptSchema } from '../core/lease.ts';
import { savedProfileSchema } from '../core/profile.ts';
import { codeRecordSchema, sealedReceiptSchema } from '../core/receipt.ts';
import { sessionRecordSchema } from '../core/session.ts';
import type { Collection, Collections, Store } from '../core/store.ts';
import { watchRecordSchema } from '../core/watcher.ts';
import { type Connection, FileReplacedError, openSqlite, type Queries } from './sqlite-file.ts';

const hostKeySchema = z.object({
  podId: z.string(),
  key: z.string(),
  firstSeenAt: z.string(),
  fileUnder: z.string().exactOptional(),
});
const logEntrySchema = z.object({
  at: z.string(),
  kind: z.string(),
  podId: z.string().exactOptional(),
  text: z.string(),
});

type Run = <T>(query: (db: Queries) => Promise<T>) => Promise<T>;
/** How queries reach the connection they belong to. Inside a transaction both are the same. */
interface Runs {
  readonly read: Run;
  readonly write: Run;
}

/**
 * Durable state in one SQLite file, shared by every server process of the machine. Opens on first use, and again on the
 * next one when opening failed or SQLite broke. Records are JSON documents, read by their schemas.
 */
export function createSqliteStore({ file }: { readonly file: string }): Store {
  let opening: Promise<Connection> | undefined;
  let isClosed = false;
  const start = (after?: Promise<void>): { readonly made: Promise<Connection> } => {
    const made: Promise<Connection> = (after ?? Promise.resolve()).then(async () =>
      openSqlite(file, () => {
        if (opening === made) opening = undefined;
        void close(made);
      }),
    );
    opening = made;
    return { made };
  };
  const connection = async (): Promise<Connection> => {
    if (isClosed) throw new ConfigError('state_unwritable', 'The state is closed.');
    const mine = opening ?? start().made;
    try {
      return await mine;
    } catch (failure) {
      if (opening === mine) opening = undefined;
      throw failure;
    }
  };
  /** Deleted while it was open, the file is put back from what is still open; replaced, the new one counts. */
  const renew = async (stale: Connection): Promise<void> => {
    const old = opening;
    if (old === undefined || (await old.catch(() => undefined)) !== stale || opening !== old)
      return;
    const rescued = stale.rescue();
    void start(rescued).made.catch(() => undefined);
    try {
      await rescued;
    } catch (failure) {
      // What only this connection still knows is not given up.
      opening = old;
      throw failure;
    }
    void close(old);
  };
  const withConnection = async <T>(work: (on: Connection) => Promise<T>): Promise<T> => {
    const first = await connection();
    try {
      return await work(first);
    } catch (failure) {
      if (!(failure instanceof FileReplacedError)) throw failure;
      await renew(first);
      return work(await connection());
    }
  };
  const runs: Runs = {
    read: async (query) => withConnection(async (on) => on.read(query)),
    write: async (query) => withConnection(async (on) => on.write(query)),
  };
  return {
    ...collections(runs, file),
    async transaction(work) {
      return withConnection(async (on) =>
        on.write(async (tx) => {
          const run: Run = async (query) => query(tx);
          return work(collections({ read: run, write: run }, file));
        }),
      );
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      if (opening !== undefined) await close(opening);
    },
  };
}

async function close(opening: Promise<Connection>): Promise<void> {
  const connection = await opening.catch(() => undefined);
  await connection?.close().catch(() => undefined);
}

function collections({ read, write }: Runs, file: string): Collections {
  const of = <T>(name: string, schema: z.ZodType<T>): Collection<T> =>
    collection({ read, write }, name, reader(schema, name, file));
  return {
    leases: of('leases', leaseSchema),
    quotes: of('quotes', quoteSchema),
    receipts: of('receipts', receiptSchema),
    chain: of('chain', sealedReceiptSchema),
    code: of('code', codeRecordSchema),
    sessions: of('sessions', sessionRecordSchema),
    jobs: of('jobs', jobSchema),
    artifacts: of('artifacts', artifactRecordSchema),
    profiles: of('profiles', savedProfileSchema),
    hostKeys: of('hostKeys', hostKeySchema),
    hosts: of('hosts', hostSchema),
    watchers: of('watchers', watchRecordSchema),
    log: {
      async append(entry) {
        await write(async (db) =>
          db
            .insertInto('log')
            .values({ pod_id: entry.podId ?? null, body: JSON.stringify(entry) })
            .execute(),
        );
      },
      async list(podId) {
        const rows = await read(async (db) => {
          const all = db.selectFrom('log').select('body').orderBy('position');
          return (podId === undefined ? all : all.where('pod_id', '=', podId)).execute();
        });
        return rows.flatMap(({ body }) => logEntrySchema.safeParse(parseJson(body)).data ?? []);
      },
    },
  };
}

interface Reader<T> {
  /** Throws `state_unreadable` that names the record. */
  read(id: string, body: string): T;
  tryRead(body: string): { readonly record: T } | undefined;
}

function reader<T>(schema: z.ZodType<T>, name: string, file: string): Reader<T> {
  const tryRead = (body: string): { readonly record: T } | undefined => {
    const parsed = schema.safeParse(parseJson(body));
    return parsed.success ? { record: parsed.data } : undefined;
  };
  return {
    tryRead,
    read(id, body) {
      const found = tryRead(body);
      if (found !== undefined) return found.record;
      throw new ConfigError(
        'state_unreadable',
        `The record ${id} of ${name} in ${path.dirname(file)} cannot be read.`,
      );
    },
  };
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function collection<T>({ read, write }: Runs, name: string, records: Reader<T>): Collection<T> {
  const rows = async () =>
    read(async (db) =>
      db
        .selectFrom('records')
        .select(['id', 'body'])
        .where('collection', '=', name)
        .orderBy('position')
        .execute(),
    );
  return {
    async get(id) {
      const row = await read(async (db) =>
        db
          .selectFrom('records')
          .select('body')
          .where('collection', '=', name)
          .where('id', '=', id)
          .executeTakeFirst(),
      );
      return row === undefined ? undefined : records.read(id, row.body);
    },
    async list() {
      return (await rows()).flatMap(({ body }) => records.tryRead(body)?.record ?? []);
    },
    async put(id, record) {
      const body = JSON.stringify(record);
      await write(async (db) =>
        db
          .insertInto('records')
          .values({ collection: name, id, body })
          .onConflict((conflict) => conflict.columns(['collection', 'id']).doUpdateSet({ body }))
          .execute(),
      );
    },
    async delete(id) {
      await write(async (db) =>
        db.deleteFrom('records').where('collection', '=', name).where('id', '=', id).execute(),
      );
    },
    async unreadable() {
      return (await rows()).flatMap(({ id, body }) =>
        records.tryRead(body) === undefined ? [id] : [],
      );
    },
  };
}
