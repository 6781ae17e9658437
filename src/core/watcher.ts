import { z } from 'zod';
import type { CallOptions } from './call.ts';

/** Where the one record of the watcher stands in the store. */
export const WATCH_ID = 'watcher';

/** Something that a watcher did without being asked, in our own words. */
const deedSchema = z.object({ at: z.string(), text: z.string() });

/** Who watches the leases of this state folder. One record; a new holder has a higher epoch, and the old one is over. */
export const watchRecordSchema = z.object({
  epoch: z.int().nonnegative(),
  /** Process of the holder, with boot and start time where the system tells them. */
  holder: z.string(),
  pid: z.int(),
  way: z.enum(['background', 'foreground', 'once']),
  version: z.string(),
  /** The clouds it can reach, each with a print of its address and key ("vast#1f0a…"), and one of the limits it keeps. */
  reach: z.array(z.string()),
  takenAt: z.string(),
  /** When it last said that it lives. */
  beatAt: z.string(),
  /** When its last whole round ended. */
  roundAt: z.string().exactOptional(),
  /** Somebody is about to rent: it does not end for want of leases. */
  wantedAt: z.string().exactOptional(),
  /** Absent while it holds. */
  endedAt: z.string().exactOptional(),
  /** The latest of all holders, oldest first. */
  deeds: z.array(deedSchema),
});
export type WatchRecord = Readonly<z.output<typeof watchRecordSchema>>;
export type WatchWay = WatchRecord['way'];

/** `on`: it lives and is heard. `off`: the person does not want one. `none`: nobody watches beside the servers. */
export interface WatcherStatus {
  readonly state: 'on' | 'off' | 'none';
  /** In our own words; absent where there is nothing to say. */
  readonly words?: string | undefined;
  /** What it did in the last day, newest last, in our own words. */
  readonly deeds: readonly string[];
}

export interface WatchRound {
  readonly at: string;
  readonly actions: readonly string[];
  /** Repairs or deadlines that could not be looked after. They are tried again. */
  readonly failure?: unknown;
}

/** `held`: another process watches, nothing was done. `lost`: another one took over; `ended`: by the signal, for want of work, or after one round. */
export type WatchEnd =
  | { readonly kind: 'held' | 'lost'; readonly by: WatchRecord | undefined }
  | { readonly kind: 'ended'; readonly isFine: boolean };

export interface Watcher {
  /** Reads the store alone. */
  status(): Promise<WatcherStatus>;
  /**
   * Starts the background process where leases that cost money need one and none lives. `isRenting`: such a lease is about to be
   * made. Never throws, waits for no process.
   */
  ensure(request?: { readonly isRenting?: boolean }): Promise<void>;
  /** Watches in this process, if it gets the lock. */
  watch(
    request: {
      readonly way: WatchWay;
      /** Waits for the lock, also after losing it. */
      readonly waits?: boolean;
      /** Takes over from the holder of this epoch, though it lives. */
      readonly over?: number | undefined;
      /** Told when this process got the lock. */
      readonly onHold?: (() => void) | undefined;
      /** Told of each round. */
      readonly onRound: (round: WatchRound) => void | Promise<void>;
    },
    options: CallOptions,
  ): Promise<WatchEnd>;
}
