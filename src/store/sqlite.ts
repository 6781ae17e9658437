import path from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../core/errors.ts';
import { artifactRecordSchema } from '../core/files.ts';
import { jobSchema } from '../core/job.ts';
import { leaseSchema, quoteSchema, receiptSchema } from '../core/lease.ts';
import { profileSchema } from '../core/profile.ts';
import { sessionRecordSchema } from '../core/session.ts';
import type { Collection, Collections, Store } from '../core/store.ts';
import { type Db, immediately, openSqlite, type Queries, whenUnlocked } from './sqlite-file.ts';

const hostKeySchema = z.object({ podId: z.string(), key: z.string(), firstSeenAt: z.string() });
const logEntrySchema = z.object({
  at: z.string(),
  kind: z.string(),
  podId: z.string().exactOptional(),
  text: z.string(),
});

/** Runs one query on the connection it belongs to. */
type Run = <T>(query: (db: Queries) => Promise<T>) => Promise<T>;

/**
 * Durable state in one SQLite file, shared by every server process of the machine. Opens on first use, and again on the
 * next one when opening failed. Records are JSON documents, read by their schemas.
 */
export function createSqliteStore({ file }: { readonly file: string }): Store {
  let opening: Promise<Db> | undefined;
  let closed = false;
  const database = async (): Promise<Db> => {
    if (closed) throw new ConfigError('state_unwritable', 'The state is closed.');
    opening ??= openSqlite(file).catch((failure: unknown) => {
      opening = undefined;
      throw failure;
    });
    return opening;
  };
  const run: Run = async (query) => {
    const db = await database();
    return whenUnlocked(file, async () => query(db));
  };
  return {
    ...collections(run, file),
    async transaction(work) {
      return immediately(file, await database(), async (tx) =>
        work(collections(async (query) => query(tx), file)),
      );
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      const db = await opening?.catch(() => undefined);
      await db?.destroy();
    },
  };
}

function collections(run: Run, file: string): Collections {
  const of = <T>(name: string, schema: z.ZodType<T>): Collection<T> =>
    collection(run, name, reader(schema, name, file));
  return {
    leases: of('leases', leaseSchema),
    quotes: of('quotes', quoteSchema),
    receipts: of('receipts', receiptSchema),
    sessions: of('sessions', sessionRecordSchema),
    jobs: of('jobs', jobSchema),
    artifacts: of('artifacts', artifactRecordSchema),
    profiles: of('profiles', profileSchema),
    hostKeys: of('hostKeys', hostKeySchema),
    log: {
      async append(entry) {
        await run(async (db) =>
          db
            .insertInto('log')
            .values({ pod_id: entry.podId ?? null, body: JSON.stringify(entry) })
            .execute(),
        );
      },
      async list(podId) {
        const rows = await run(async (db) => {
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

function collection<T>(run: Run, name: string, { read, tryRead }: Reader<T>): Collection<T> {
  const rows = async () =>
    run(async (db) =>
      db
        .selectFrom('records')
        .select(['id', 'body'])
        .where('collection', '=', name)
        .orderBy('position')
        .execute(),
    );
  return {
    async get(id) {
      const row = await run(async (db) =>
        db
          .selectFrom('records')
          .select('body')
          .where('collection', '=', name)
          .where('id', '=', id)
          .executeTakeFirst(),
      );
      return row === undefined ? undefined : read(id, row.body);
    },
    async list() {
      return (await rows()).flatMap(({ body }) => tryRead(body)?.record ?? []);
    },
    async put(id, record) {
      const body = JSON.stringify(record);
      await run(async (db) =>
        db
          .insertInto('records')
          .values({ collection: name, id, body })
          .onConflict((conflict) => conflict.columns(['collection', 'id']).doUpdateSet({ body }))
          .execute(),
      );
    },
    async delete(id) {
      await run(async (db) =>
        db.deleteFrom('records').where('collection', '=', name).where('id', '=', id).execute(),
      );
    },
    async unreadable() {
      return (await rows()).flatMap(({ id, body }) => (tryRead(body) === undefined ? [id] : []));
    },
  };
}
