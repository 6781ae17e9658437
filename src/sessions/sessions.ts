import { InputError, RemoteError } from '../core/errors.ts';
import type { SessionId } from '../core/ids.ts';
import { KeyedLock } from '../core/keyed-lock.ts';
import type { SessionRecord, Sessions } from '../core/session.ts';
import { isSessionOver } from '../core/session-states.ts';
import { hasBusySession, lookAtSessions } from './busy.ts';
import { closeSession, fileLost } from './close.ts';
import { fileEnd } from './ended.ts';
import { createLink, lookSoon } from './link.ts';
import { openSession } from './open.ts';
import { readSession } from './read.ts';
import type { Runs } from './runs.ts';
import { withOffset } from './typing.ts';
import { checkWrite, type WriteDeps, writeSession } from './write.ts';
import { createWriters } from './writer.ts';

/** Shells on pods. All truth is on the pod and in the store: any number of servers may hold the same session. */
export function createSessions(
  given: Omit<WriteDeps, 'link' | 'writers'> & {
    readonly runs: Runs;
    readonly idleSeconds?: number | undefined;
  },
): Sessions {
  const link = createLink(given);
  const writers = createWriters(given);
  const deps = { ...given, link, writers };
  const { store, clock } = given;
  const opening = new KeyedLock();
  const cursors = new Map<SessionId, number>();
  /** How far answers have shown the transcript, those of writes and reads alike. */
  const shownTo = new Map<SessionId, number>();
  /** The secrets that tell genuine marks from look-alikes. */
  const keys = new Map<string, string>();

  const noteShown = (sessionId: SessionId, { nextOffset }: { nextOffset: number }): void => {
    shownTo.set(sessionId, Math.max(nextOffset, shownTo.get(sessionId) ?? 0));
  };

  async function recordOf(sessionId: SessionId): Promise<SessionRecord> {
    const record = await store.sessions.get(sessionId);
    if (record !== undefined) return record;
    throw new InputError('not_found', 'There is no such session.', {
      hint: 'Call list_pods to see the open sessions, or session_open for a new one.',
    });
  }

  const sessions: Sessions = {
    async open(podId, request, options) {
      const open = async (): ReturnType<Sessions['open']> =>
        openSession(deps, podId, request, options);
      // Of two callers who both take what is there, one finds it and the other what the first has made.
      return request.reuse ? opening.run(podId, open) : open();
    },

    async write(sessionId, request, options) {
      checkWrite(request);
      const record = await recordOf(sessionId);
      if (record.state === 'closed')
        throw new RemoteError('session_closed', 'The shell of this session has ended.');
      if (record.state === 'lost')
        throw new RemoteError('session_lost', 'The shell of this session is gone.');
      const startedAt = clock.now().getTime();
      let key = keys.get(sessionId);
      if (key === undefined) {
        const look = await lookSoon(link, record, options);
        if (look.state === 'closed' || look.state === 'lost') {
          const { state } = await fileEnd(deps, record, look, options);
          throw state === 'closed'
            ? new RemoteError('session_closed', 'The shell of this session has ended.')
            : new RemoteError('session_lost', 'The shell of this session is gone.');
        }
        key = look.key;
        keys.set(sessionId, key);
      }
      try {
        const given = { key, startedAt };
        const written = await writeSession(deps, record, request, given, options);
        noteShown(sessionId, written);
        return written;
      } catch (failure) {
        throw withOffset(failure, shownTo.get(sessionId));
      }
    },

    async read(sessionId, request, options) {
      const record = await recordOf(sessionId);
      const page = await readSession(
        deps,
        record,
        request,
        cursors.get(sessionId) ?? 0,
        keys,
        options,
      );
      if (page.state !== 'unreachable') {
        cursors.set(sessionId, page.nextOffset);
        noteShown(sessionId, page);
      }
      return page;
    },

    async close(sessionId, request, options) {
      return closeSession(deps, await recordOf(sessionId), request, options);
    },

    async list(podId) {
      const records = await store.sessions.list();
      return records.filter((record) => podId === undefined || record.podId === podId).reverse();
    },

    look: async (podId, options) => lookAtSessions(deps, podId, options),

    hasBusy: async (podId, options) => hasBusySession(deps, podId, options),

    async closePod(podId, options) {
      for (const record of await sessions.list(podId)) {
        if (isSessionOver(record)) continue;
        try {
          await closeSession(deps, record, { force: true }, options);
        } catch {
          // The pod is about to go: a shell that nobody can reach goes with it, and its record must say so.
          await fileLost(deps, record);
        }
      }
    },

    async [Symbol.asyncDispose]() {
      link.stopAll();
      writers.stopAll();
      return Promise.resolve();
    },
  };
  return sessions;
}
