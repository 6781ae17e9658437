import type { Clock } from '../../core/call.ts';
import type { ProviderPod } from '../../core/provider.ts';

/** How long Lambda may not know a machine that it has just launched. Too short a time takes a machine that is charged for gone. */
const UNKNOWN_SECONDS = 90;
const MAX_KEPT = 200;

/** What this process launched a moment ago: a new id may be answered with 404 at first, which says nothing. */
export interface Launches {
  remember(instanceId: string, pod: ProviderPod): void;
  /** The pod as it was launched, while not being known means nothing. */
  young(instanceId: string): ProviderPod | undefined;
  /** The id that carries this label, however long ago. */
  idOf(label: string): string | undefined;
  /** It was seen, or ordered to end: from now on 404 means gone. */
  settle(instanceId: string): void;
}

export function createLaunches(clock: Clock): Launches {
  const launches = new Map<string, { readonly pod: ProviderPod; readonly at: number }>();
  const settled = new Set<string>();
  const seconds = (): number => clock.now().getTime() / 1000;
  return {
    remember(instanceId, pod) {
      for (const oldest of [...launches.keys()].slice(0, launches.size - MAX_KEPT)) {
        launches.delete(oldest);
        settled.delete(oldest);
      }
      launches.set(instanceId, { pod, at: seconds() });
    },
    young(instanceId) {
      const launch = launches.get(instanceId);
      if (launch === undefined || settled.has(instanceId)) return undefined;
      return seconds() - launch.at < UNKNOWN_SECONDS ? launch.pod : undefined;
    },
    idOf: (label) => [...launches].find(([, { pod }]) => pod.label === label)?.[0],
    settle(instanceId) {
      if (launches.has(instanceId)) settled.add(instanceId);
    },
  };
}
