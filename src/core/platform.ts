import type { CallOptions } from './call.ts';
import type { PodId } from './ids.ts';
import type { PathFact } from './provider.ts';

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
  readonly paths: readonly PathFact[];
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
  readonly platform: Platform;
  /** Of the platform's folders those that are not known to be missing there. */
  readonly paths: readonly PathFact[];
  /** What ends the meter, whether it can be undone, and what goes on costing. One sentence. */
  readonly meterStop: string;
  /** One sentence each: danger clocks, what is amiss on this machine, and facts that grew old. */
  readonly warnings: readonly string[];
}

/** Knows machines of the user by their address, or by one look at them. */
export interface Platforms {
  /**
   * Looks at the machine once where `mayLook`. Never throws for one that cannot be asked: then its address or what was seen
   * before tells. `undefined`: not a machine of the user.
   */
  of(
    podId: PodId,
    options: CallOptions & { readonly mayLook: boolean },
  ): Promise<PlatformFacts | undefined>;
}

/** What the folders of a pod outlive, and how it is going to end. `undefined`: nobody knows. Never throws for the pod. */
export type Disks = (
  podId: PodId,
  options: CallOptions,
) => Promise<
  { readonly paths: readonly PathFact[]; readonly plannedEnd: 'stop' | 'destroy' } | undefined
>;

const STALE_MONTHS = 6;

/** Whether facts of that month ("2026-06") are half a year old. Pure. */
export function isStale(verified: string, now: Date): boolean {
  const [year = Number.NaN, month = Number.NaN] = verified.split('-').map(Number);
  const months = (now.getUTCFullYear() - year) * 12 + now.getUTCMonth() + 1 - month;
  return !(months < STALE_MONTHS);
}

/** The longest of `paths` that holds `file`; `undefined`: none does. Both absolute. Pure. */
export function diskOf(file: string, paths: readonly PathFact[]): PathFact | undefined {
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
  paths: readonly PathFact[],
  plannedEnd: 'stop' | 'destroy',
): string | undefined {
  const survives = (disk: PathFact): boolean =>
    plannedEnd === 'stop' ? disk.survivesStop : disk.survivesDestroy;
  const lost = files.map((file) => diskOf(file, paths)).find((disk) => disk && !survives(disk));
  if (lost === undefined) return undefined;
  const safe = paths.find((disk) => disk.path !== '/' && survives(disk));
  // Nothing outlives the end of most rented machines: then bringing results home is the rule anyway, and no news.
  if (plannedEnd === 'destroy' && safe === undefined) return undefined;
  const end = plannedEnd === 'stop' ? 'a stop of the machine' : 'the end of the machine';
  return `Declared artifacts lie on a disk that ${end} wipes (${lost.path}): ${safe === undefined ? '' : `write them below ${safe.path}, or `}fetch them before that.`;
}
