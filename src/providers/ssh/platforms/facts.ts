import { isStale, type Platform, type PlatformFacts } from '../../../core/platform.ts';
import type { Seen } from './recognise.ts';

/** What a person should hear about a machine on `platform`. `seen`: what one look at it told, where there was one. Pure. */
export function factsOf(platform: Platform, seen: Seen | undefined, now: Date): PlatformFacts {
  const { title, verified, dangerClocks, advice, durableFolder } = platform;
  const isMissing = (path: string): boolean => path !== '/' && seen?.present.has(path) === false;
  const isMounted = (path: string): boolean => seen === undefined || seen.mounted.has(path);
  return {
    platform,
    paths: platform.paths
      .filter(({ path }) => !isMissing(path))
      // What outlives the machine is another file system than its disk: without one it goes with the rest.
      .map((fact) =>
        fact.survivesDestroy && !isMounted(fact.path)
          ? { path: fact.path, ...whole(platform) }
          : fact,
      ),
    meterStop: meterStopOf(platform),
    warnings: [
      ...(durableFolder === undefined || (!isMissing(durableFolder) && isMounted(durableFolder))
        ? []
        : [
            `${durableFolder}, which would outlive this machine, is not mounted there: nothing on it is safe from its end.`,
          ]),
      ...dangerClocks.map(
        ({ what, after, effect }) =>
          `${what}: ${after === 'no limit' ? '' : `${after}: `}${effect}.`,
      ),
      ...advice,
      ...(isStale(verified, now)
        ? [
            `What is known of ${title} is of ${verified}, over half a year old: check it in its console.`,
          ]
        : []),
    ],
  };
}

function whole({ paths }: Platform): { survivesStop: boolean; survivesDestroy: boolean } {
  const disk = paths.find(({ path }) => path === '/');
  return { survivesStop: disk?.survivesStop ?? false, survivesDestroy: false };
}

function meterStopOf({ title, meterStop }: Platform): string {
  const { verb, reversible, stillBills } = meterStop;
  const left = stillBills.length === 0 ? '' : ` Still costing after it: ${stillBills.join(', ')}.`;
  if (verb === undefined)
    return 'Nothing that can be called here ends its bill, if it has one: only its owner can.';
  return `On ${title} "${verb}" ends the meter${reversible === false ? ' and cannot be undone' : ''}; only the user can do it.${left}`;
}
