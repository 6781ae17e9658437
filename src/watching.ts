import { createHash } from 'node:crypto';
import path from 'node:path';
import type { ProgramFiles } from './app.ts';
import type { Config } from './config.ts';
import type { Clock } from './core/call.ts';
import type { Files } from './core/files.ts';
import type { ProviderName } from './core/ids.ts';
import type { Lease } from './core/lease.ts';
import { RESCUE_FOLDER } from './core/left-behind.ts';
import type { Pods } from './core/pods.ts';
import { makePrivateFolder } from './core/private-folder.ts';
import type { Store } from './core/store.ts';
import type { Watcher } from './core/watcher.ts';
import { isProcessAlive, processIdOf } from './leases/process-id.ts';
import { createWatchLock, type WatchLock } from './watcher/lock.ts';
import { createWatcher, isWatchedElsewhere } from './watcher/watcher.ts';

/** Twice in the time that a pod is given before its deadline to say farewell. */
const WATCH_EVERY_SECONDS = 10;
const WATCH_FIRST_SECONDS = 1;
const LEAST_PAUSE_SECONDS = 1;
/** One pod that is not heard must not keep the others from being looked after. */
const PATIENCE_SECONDS = 5;

export interface Watching {
  readonly lock: WatchLock;
  /** What the leases need of it. */
  readonly forLeases: {
    readonly isLeftToOthers: (lease: Lease) => Promise<boolean>;
    readonly actor: () => string;
    readonly isWatched: (provider: ProviderName) => Promise<boolean>;
  };
  /** Where files are brought that nobody fetched before their pod was ended. */
  readonly rescueFolder: string;
  watcher(pods: Pods, onFailure: (failure: unknown) => void): Watcher;
  /** What a person should know of it who asks whether all is well. */
  notes(watcher: Pick<Watcher, 'status'>): Promise<readonly string[]>;
}

/** Who watches the leases of this state folder, as this process takes part in it. */
export function createWatching(
  store: Store,
  config: Config,
  files: Pick<ProgramFiles, 'watchCommand' | 'version'>,
  clock: Clock,
): Watching {
  const { watchCommand, version = '0.0.0' } = files;
  const me = {
    holder: processIdOf(process.pid),
    pid: process.pid,
    version,
    reach: reachOf(config),
  };
  const lock = createWatchLock({ store, clock, isAlive: isProcessAlive, me });
  return {
    lock,
    forLeases: {
      isLeftToOthers: async ({ provider }) => isWatchedElsewhere({ lock }, provider),
      isWatched: async (provider) =>
        (config.hasWatcher && watchCommand !== undefined) ||
        lock.isMine() ||
        isWatchedElsewhere({ lock }, provider),
      actor: () => (lock.isMine() ? 'the watcher' : 'a server'),
    },
    rescueFolder: path.join(config.home, RESCUE_FOLDER),
    async notes(watcher) {
      if (me.reach.length === 0) return [];
      const { state, words } = await watcher.status();
      return state === 'on' || words === undefined ? [] : [words];
    },
    watcher: (pods, onFailure) =>
      createWatcher({
        isOn: config.hasWatcher,
        program:
          watchCommand === undefined
            ? undefined
            : { command: watchCommand, environment: config.ownEnvironment },
        store,
        clock,
        lock,
        pods,
        me,
        onFailure,
      }),
  };
}

/**
 * The clouds this process has keys of, and the limits it was given: who starts with others replaces the watcher that would keep
 * the old ones. A print tells a new key from the old one, and nothing of either. Nothing without a cloud.
 */
function reachOf({ vast, runpod, lambda, limits }: Config): string[] {
  const print = (name: string, words: readonly string[]): string =>
    `${name}#${createHash('sha256').update(words.join('\n')).digest('hex').slice(0, 12)}`;
  const clouds = [
    ...(vast === undefined ? [] : [print('vast', [vast.baseUrl, vast.apiKey])]),
    ...(runpod === undefined ? [] : [print('runpod', [runpod.graphqlUrl, runpod.apiKey])]),
    ...(lambda === undefined ? [] : [print('lambda', [lambda.baseUrl, lambda.apiKey])]),
  ];
  if (clouds.length === 0) return [];
  return [...clouds, print('limits', Object.entries(limits).map(String).toSorted())];
}

/** The rounds of a server: mends, enforces what no watcher does, keeps a watcher alive. Ends by the signal alone. */
export async function keepRounds(
  { pods, watcher, clock }: { pods: Pods; watcher: Pick<Watcher, 'ensure'>; clock: Clock },
  signal: AbortSignal,
  onTrouble: (failure: unknown) => void,
): Promise<void> {
  // What the end of the app itself broke off is no trouble: the next server takes it up.
  const onFailure = (failure: unknown): void => {
    if (!signal.aborted) onTrouble(failure);
  };
  await clock.sleep(WATCH_FIRST_SECONDS, { signal });
  for (;;) {
    const begun = clock.now().getTime();
    await watcher.ensure();
    // A replacement may take minutes; deadlines do not wait for it.
    void pods.tend?.({ signal }).catch(onFailure);
    await pods.reconcile({ signal, patienceSeconds: PATIENCE_SECONDS }).catch(onFailure);
    await pods.enforce({ signal, patienceSeconds: PATIENCE_SECONDS }).catch(onFailure);
    // A round that waited for somebody puts the next one off no further.
    const left = WATCH_EVERY_SECONDS - (clock.now().getTime() - begun) / 1000;
    const pause = Math.min(WATCH_EVERY_SECONDS, Math.max(LEAST_PAUSE_SECONDS, left));
    await clock.sleep(pause, { signal });
  }
}

/** The part of the files that writes below the folder for what nobody fetched, made on first use. */
export function rescueFiles(folder: string, make: () => Files): Pick<Files, 'gates' | 'fetch'> {
  let made: Files | undefined;
  const files = (): Files => (made ??= make());
  return {
    gates: async (podId, options) => files().gates(podId, options),
    async fetch(request, options) {
      await makePrivateFolder(folder);
      return files().fetch(request, options);
    },
  };
}
