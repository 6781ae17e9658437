import type { World } from './world.ts';

const WINDOWS = [
  ['minute', 60],
  ['hour', 3_600],
  ['day', 86_400],
] as const;

interface Window {
  start: number;
  used: number;
}
export interface Counted {
  readonly headers: Readonly<Record<string, string>>;
  /** The first window that is used up, and when all of them are open again. */
  readonly exhausted: { readonly name: string; readonly retrySeconds: number } | undefined;
}

/** Counts the calls of each key in windows that begin with their first call. */
export function createRateCounter(world: World): (key: string) => Counted {
  const counts = new Map<string, Window>();
  const { ratePolicy } = world.options;
  return (key) => {
    const now = world.clock.nowSeconds();
    const shown = WINDOWS.map(([name, seconds]) => {
      const place = `${name} ${key}`;
      const known = counts.get(place);
      const window =
        known === undefined || now >= known.start + seconds ? { start: now, used: 0 } : known;
      counts.set(place, window);
      window.used += 1;
      const quota = ratePolicy[name];
      const left = Math.max(1, Math.ceil(window.start + seconds - now));
      return {
        name,
        seconds,
        quota,
        left,
        over: window.used > quota,
        rest: Math.max(0, quota - window.used),
      };
    });
    const over = shown.filter(({ over: isOver }) => isOver);
    const [first] = over;
    return {
      headers: {
        RateLimit: shown.map(({ name, rest, left }) => `"${name}";r=${rest};t=${left}`).join(', '),
        'RateLimit-Policy': shown
          .map(({ name, quota, seconds }) => `"${name}";q=${quota};w=${seconds}`)
          .join(', '),
      },
      exhausted:
        first === undefined
          ? undefined
          : { name: first.name, retrySeconds: Math.max(...over.map(({ left }) => left)) },
    };
  };
}
