import type { Clock } from '../core/call.ts';
import { PolicyError } from '../core/errors.ts';
import type { Collections, Store } from '../core/store.ts';
import { WATCH_ID, type WatchRecord, type WatchWay } from '../core/watcher.ts';
import { isOlderVersion } from './version.ts';

/** Twice that a beat is missed, and more: a busy machine starves processes for seconds. */
const SILENT_SECONDS = 30;
/** A holder that seems to be dead may live where its pid says nothing, in another container: it is heard then. */
const DEAD_SECONDS = 12;
const MOST_DEEDS = 10;

export interface WatchLockDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly isAlive: (processId: string) => boolean;
  readonly me: Pick<WatchRecord, 'holder' | 'pid' | 'version' | 'reach'>;
}

/**
 * The right to watch the leases of a state folder, kept in the store. Each holder has an epoch of its own that grows: whoever was
 * frozen and comes back finds that its epoch is over.
 */
export interface WatchLock {
  /** `undefined`: it is ours. Else who holds it. `over`: the epoch of a living holder that is to be replaced. */
  readonly take: (way: WatchWay, over?: number) => Promise<WatchRecord | undefined>;
  /** Says that we live; false: our epoch is over. */
  readonly beat: (
    change?: Partial<Pick<WatchRecord, 'roundAt'>>,
    deeds?: readonly string[],
  ) => Promise<boolean>;
  /** False: it was taken from us, or `unlessWantedSince` says that a lease is about to be made. */
  readonly release: (unlessWantedSince?: Date) => Promise<boolean>;
  /** The one who holds it and is heard. */
  readonly holder: () => Promise<WatchRecord | undefined>;
  readonly last: () => Promise<WatchRecord | undefined>;
  /** Throws `watch_lost` where this process held it and does not any more. Processes that never held it pass. */
  readonly assert: (tx?: Pick<Collections, 'watchers'>) => Promise<void>;
  /** Whether this process holds it, as far as it knows. */
  readonly isMine: () => boolean;
}

export function createWatchLock({ store, clock, isAlive, me }: WatchLockDeps): WatchLock {
  let epoch: number | undefined;

  function isHeard(record: WatchRecord): boolean {
    if (record.endedAt !== undefined) return false;
    // A beat that comes from the future tells of a clock that was put back.
    const silence = Math.abs(clock.now().getTime() - Date.parse(record.beatAt)) / 1000;
    return silence <= (isAlive(record.holder) ? SILENT_SECONDS : DEAD_SECONDS);
  }
  const isOurs = (record: WatchRecord | undefined): record is WatchRecord =>
    record !== undefined &&
    record.epoch === epoch &&
    record.holder === me.holder &&
    record.endedAt === undefined;
  const last = async (): Promise<WatchRecord | undefined> => store.watchers.get(WATCH_ID);

  async function change(of: (record: WatchRecord) => WatchRecord | undefined): Promise<boolean> {
    return store.transaction(async (tx) => {
      const record = await tx.watchers.get(WATCH_ID);
      if (!isOurs(record)) return false;
      const after = of(record);
      if (after !== undefined) await tx.watchers.put(WATCH_ID, after);
      return after !== undefined;
    });
  }

  return {
    async take(way, over) {
      return store.transaction(async (tx) => {
        const before = await tx.watchers.get(WATCH_ID);
        if (
          before !== undefined &&
          isHeard(before) &&
          before.epoch !== over &&
          !isOlderVersion(before.version, me.version)
        )
          return before;
        const now = clock.now().toISOString();
        const mine: WatchRecord = {
          ...me,
          epoch: (before?.epoch ?? 0) + 1,
          way,
          takenAt: now,
          beatAt: now,
          ...(before?.wantedAt === undefined ? {} : { wantedAt: before.wantedAt }),
          deeds: before?.deeds ?? [],
        };
        await tx.watchers.put(WATCH_ID, mine);
        ({ epoch } = mine);
        return undefined;
      });
    },
    beat: async (more = {}, texts = []) =>
      change((record) => {
        const at = clock.now().toISOString();
        const news = texts.filter((text) => record.deeds.every((deed) => deed.text !== text));
        const deeds = [...record.deeds, ...news.map((text) => ({ at, text }))].slice(-MOST_DEEDS);
        return { ...record, ...more, beatAt: at, deeds };
      }),
    release: async (unlessWantedSince) =>
      change((record) =>
        unlessWantedSince !== undefined &&
        record.wantedAt !== undefined &&
        Date.parse(record.wantedAt) >= unlessWantedSince.getTime()
          ? undefined
          : { ...record, endedAt: clock.now().toISOString() },
      ),
    async holder() {
      const record = await last();
      return record !== undefined && isHeard(record) ? record : undefined;
    },
    last,
    async assert(tx = store) {
      if (epoch === undefined || isOurs(await tx.watchers.get(WATCH_ID))) return;
      throw new PolicyError('watch_lost', 'The time of this watcher is over.');
    },
    isMine: () => epoch !== undefined,
  };
}
