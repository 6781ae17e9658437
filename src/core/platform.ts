import type { CallOptions } from './call.ts';
import type { PodId } from './ids.ts';

/** How much one folder of a machine outlives. */
export interface DiskPath {
  readonly path: string;
  readonly survivesStop: boolean;
  readonly survivesDestroy: boolean;
}

/** What is known, as a dated fact, about a place that rents out machines which are reached by plain SSH. */
export interface Platform {
  readonly id: string;
  readonly title: string;
  /** "2026-06": the month in which somebody last looked. */
  readonly verified: string;
  /** Where it was looked up. */
  readonly source: string;
  /** The usual login. Absent: it differs or nobody knows. */
  readonly sshUser?: string;
  /** Where to work. */
  readonly dataFolder?: string;
  /** What is kept here outlives the machine. */
  readonly durableFolder?: string;
  readonly scratchFolder?: string;
  readonly paths: readonly DiskPath[];
  /** Absent verb: nothing that a caller could use stops the meter. */
  readonly meterStop: {
    readonly verb?: string;
    readonly reversible?: boolean;
    readonly stillBills: readonly string[];
  };
  readonly destroyVerb?: string;
  readonly dangerClocks: readonly {
    readonly what: string;
    readonly after: string;
    readonly effect: string;
  }[];
  /** Shell lines that switch a proxy for foreign hosts on and off. */
  readonly proxyHook?: { readonly on: string; readonly off: string; readonly onlyFor?: string };
  /** More that saves a run, each one sentence. */
  readonly advice: readonly string[];
}

/** The same for one machine of the user, in our own words. */
export interface PlatformFacts {
  readonly id: string;
  readonly title: string;
  readonly verified: string;
  readonly durableFolder?: string;
  readonly paths: readonly DiskPath[];
  /** What ends the meter, whether it can be undone, and what goes on costing. One sentence. */
  readonly meterStop: string;
  readonly dangerClocks: readonly string[];
  readonly advice: readonly string[];
  /** Set when the facts were not looked at for half a year. */
  readonly stale?: string;
}

/** Knows machines of the user by their address, or by one look at them. */
export interface Platforms {
  /** Never throws for a machine that cannot be asked: then its address alone tells. `undefined`: not a machine of the user. */
  of(podId: PodId, options: CallOptions): Promise<PlatformFacts | undefined>;
}

const STALE_MONTHS = 6;

/** Whether facts of that month ("2026-06") are half a year old. Pure. */
export function isStale(verified: string, now: Date): boolean {
  const [year = Number.NaN, month = Number.NaN] = verified.split('-').map(Number);
  const months = (now.getUTCFullYear() - year) * 12 + now.getUTCMonth() + 1 - month;
  return !(months < STALE_MONTHS);
}

/** The longest of `paths` that holds `file`; `undefined`: none does. Both absolute. Pure. */
export function diskOf(file: string, paths: readonly DiskPath[]): DiskPath | undefined {
  return paths
    .filter(({ path }) => path === '/' || file === path || file.startsWith(`${path}/`))
    .toSorted((one, other) => other.path.length - one.path.length)[0];
}

/**
 * Warns of declared results on a disk that the planned end wipes, and names a folder that outlives it (VO-05). `files` are
 * absolute. `undefined`: nothing to warn of, or nobody knows.
 */
export function diskWarning(
  files: readonly string[],
  paths: readonly DiskPath[],
  plannedEnd: 'stop' | 'destroy',
): string | undefined {
  const survives = (disk: DiskPath): boolean =>
    plannedEnd === 'stop' ? disk.survivesStop : disk.survivesDestroy;
  const lost = files.map((file) => diskOf(file, paths)).find((disk) => disk && !survives(disk));
  if (lost === undefined) return undefined;
  const safe = paths.find((disk) => disk.path !== '/' && survives(disk));
  const end =
    plannedEnd === 'stop' ? 'stopping the machine wipes' : 'the end of the machine takes along';
  return `Declared artifacts lie below ${lost.path}, which ${end}: ${safe === undefined ? 'fetch them before that.' : `write them below ${safe.path}, or fetch them before that.`}`;
}
