import { mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../core/call.ts';
import { localFailure } from './local-failure.ts';
import { type Arrived, readJournal } from './partial-file.ts';
import type { Pod } from './pod.ts';
import { type Road, runLanes } from './pull-lanes.ts';
import { createPullQueue } from './pull-queue.ts';
import { createPullStore } from './pull-store.ts';
import { type Piece, SMALL_BYTES, type Wanted } from './pull-work.ts';
import type { Span } from './spans.ts';

export interface PullOptions {
  readonly root: string;
  readonly partialFolder: string;
  /** Small files one by one: some changed while they were read together. */
  readonly alone: boolean;
}

const ATTEMPTS = 3;
const RETRY_SECONDS = 5;
/** Less than this is over before anything was measured. */
const LOOK_BYTES = 256 << 10;

/**
 * Pulls exactly the bytes of `files`, as streams cut by the sizes of the listing: the pod sends no names, so it can choose
 * none. What was begun before goes on where it stopped, and so does a link that breaks. Answers what arrived whole; a
 * file that got shorter meanwhile is not among it. Throws `unsafe_archive` for a byte too many, `disk_full`, `link_lost`.
 */
export async function pullFiles(
  clock: Clock,
  pod: Pod,
  files: readonly Wanted[],
  options: PullOptions,
): Promise<ReadonlyMap<Wanted, Arrived>> {
  await mkdir(options.partialFolder, { recursive: true, mode: 0o700 });
  const store = createPullStore();
  try {
    const begun = await whatIsThere(files, options.partialFolder);
    for (const { file, isWhole } of begun) if (isWhole) await store.adopt(file);
    const queue = createPullQueue(
      begun.filter(({ isWhole, file }) => !isWhole && file.bytes > 0),
      options.alone,
    );
    for (const file of files) if (file.bytes === 0) await store.receive(wholeOf(file), 0, []);
    const road = queue.leftBytes < LOOK_BYTES ? NO_ROAD : await lookAtRoad(clock, pod);
    let failed = 0;
    while (queue.leftBytes > 0) {
      const { received, broken } = await runLanes(
        clock,
        pod,
        queue,
        store.receive,
        road,
        options.root,
      );
      if (broken === undefined) continue;
      failed = received > 0 ? 1 : failed + 1;
      if (failed >= ATTEMPTS) throw broken;
      pod.call.progress?.('The link broke; going on from where it broke.');
      await clock.sleep(RETRY_SECONDS, pod.call);
    }
    return new Map(store.arrived);
  } catch (thrown) {
    throw localFailure(thrown) ?? thrown;
  } finally {
    await store.close();
  }
}

const NO_ROAD: Road = { rttSeconds: 0, hasGzip: false };

/** The round trip is an estimate, and rather too short: a command takes two, or one where a channel stands ready. */
async function lookAtRoad(clock: Clock, pod: Pod): Promise<Road> {
  const start = clock.now().getTime();
  const script = 'command -v gzip >/dev/null 2>&1\n';
  const { exitCode } = await pod.run(script, { timeoutSeconds: 60 });
  return { rttSeconds: (clock.now().getTime() - start) / 2000, hasGzip: exitCode === 0 };
}

async function whatIsThere(
  files: readonly Wanted[],
  folder: string,
): Promise<
  readonly { readonly file: Wanted; readonly have: readonly Span[]; readonly isWhole: boolean }[]
> {
  const names = new Set(await readdir(folder));
  const there = [];
  for (const file of files) {
    const known = names.has(path.basename(file.partial));
    const isLarge = file.bytes > SMALL_BYTES;
    const have = known && isLarge ? await readJournal(file.partial, file.bytes) : [];
    const size = known ? (await stat(file.partial).catch(() => undefined))?.size : undefined;
    const isWhole =
      size === file.bytes && (!isLarge || (have[0]?.start === 0 && have[0].end === file.bytes));
    there.push({ file, have: size === file.bytes ? have : [], isWhole });
  }
  return there;
}

function wholeOf(file: Wanted): Piece {
  return { file, offset: 0, bytes: file.bytes };
}
