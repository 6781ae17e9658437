import type { Clock } from '../core/call.ts';
import type { Lease } from '../core/lease.ts';
import type { Providers } from '../core/provider.ts';
import { limitOf, untilAborted } from './deps.ts';
import type { Fate } from './fate.ts';
import { bootOf, isAbove } from './rungs.ts';

const TAIL_LINES = 100;
const FIRST_LOOK_SECONDS = 10;
const LOOK_EVERY_SECONDS = 15;
/** Later the pull itself is what takes long. */
const OFTEN_FOR_SECONDS = 180;
const SELDOM_SECONDS = 60;
const LOOK_LIMIT_SECONDS = 10;
/** A climb waits no longer for a look; what it finds later is told to the next one. */
const PATIENCE_SECONDS = 2.5;

const MISSING =
  /manifest (?:for \S{1,300} )?(?:unknown|not found)|invalid reference format|no matching manifest/i;
const DENIED =
  /pull access denied|repository does not exist|requested access to the resource is denied|unauthorized: (?:authentication required|incorrect username)/i;
const PULLED = /Status: (?:Downloaded|Image is up to date)|^(?:\[system\] )?start container\b/i;

const WHERE = 'Check its name, its tag and the registry login (D-021).';
const NOT_THERE: Fate = {
  reason: `The image cannot be pulled: its registry has no such image or tag. ${WHERE}`,
  blame: 'image',
};
const NOT_ALLOWED: Fate = {
  reason: `The image cannot be pulled: it does not exist, or its registry wants a login. ${WHERE}`,
  blame: 'image',
};
const FATES = [NOT_THERE, NOT_ALLOWED];

/** Reads now and then what a booting pod says where its cloud tells only there that it will never come up. */
export interface BootWatch {
  /** Why the image of this pod cannot be pulled, for certain; `undefined`: nothing of that kind was said. Never throws. */
  imageFault(lease: Lease): Promise<Fate | undefined>;
}

export function createBootWatch({
  providers,
  clock,
}: {
  readonly providers: Providers;
  readonly clock: Clock;
}): BootWatch {
  const looks = new Map<string, { at: number; found?: Fate | undefined }>();

  async function look({ provider, podId }: Lease): Promise<Fate | undefined> {
    const logs = providers.get(provider)?.logs;
    if (logs === undefined || podId === undefined) return undefined;
    const signal = limitOf(LOOK_LIMIT_SECONDS);
    return pullFailureIn(await untilAborted(logs.bootLog(podId, TAIL_LINES, { signal }), signal));
  }

  return {
    async imageFault(lease) {
      const { leaseId, provider, bootAt, failure } = lease;
      // What ran once was pulled, and what it printed then is no word on this start.
      if (bootAt !== undefined || isAbove(lease, 'created')) {
        looks.delete(leaseId);
        return undefined;
      }
      // Another server may have read it.
      const known = FATES.find(({ reason }) => reason === failure);
      if (known !== undefined) return known;
      if (providers.get(provider)?.logs?.tellsPulls !== true) return undefined;
      const now = clock.now().getTime();
      const seconds = (now - bootOf(lease)) / 1000;
      const last = looks.get(leaseId);
      const every = seconds < OFTEN_FOR_SECONDS ? LOOK_EVERY_SECONDS : SELDOM_SECONDS;
      const isDue = last === undefined || now - last.at >= every * 1000;
      if (seconds < FIRST_LOOK_SECONDS || !isDue) return last?.found;
      const entry: { at: number; found?: Fate | undefined } = { at: now };
      looks.set(leaseId, entry);
      const work = look(lease).then((found) => {
        entry.found = found;
      });
      // No log is no news.
      await untilAborted(work, limitOf(PATIENCE_SECONDS)).catch(() => undefined);
      if (entry.found !== undefined) looks.delete(leaseId);
      return entry.found;
    },
  };
}

/** What waiting does not mend, unless a later line says that the image came after all. Pure, linear in the text. */
export function pullFailureIn(log: string): Fate | undefined {
  const lines = log.split('\n').map((line) => line.slice(0, 1000));
  const at = lines.findLastIndex((line) => MISSING.test(line) || DENIED.test(line));
  if (at === -1 || lines.slice(at).some((line) => PULLED.test(line))) return undefined;
  return MISSING.test(lines[at] ?? '') ? NOT_THERE : NOT_ALLOWED;
}
