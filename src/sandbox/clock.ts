import type { Clock } from '../core/call.ts';

/** Time as the fake clouds see it: seconds since the epoch, `speed` times faster than the real ones. */
export interface SandboxClock {
  nowSeconds(): number;
  /** Calls `work` once, `seconds` from now. The answer takes it back. */
  after(seconds: number, work: () => Promise<void> | void): () => void;
  /** Turns time forward and does what falls due on the way, in order, each at its own moment; resolves when it is done. */
  advance(seconds: number): Promise<void>;
  /** 0: time stands still until `advance`. */
  readonly speed: number;
}

export interface SandboxClockDeps {
  /** Real time. */
  readonly clock: Clock;
  readonly speed: number;
  /** What it is when the clock starts. Default: now. */
  readonly startSeconds?: number;
  /** Told of work that threw; the clock goes on. */
  readonly onFailure?: (failure: unknown) => void;
}

interface Timer {
  readonly atSeconds: number;
  readonly order: number;
  readonly work: () => Promise<void> | void;
}

/** Longer sleeps are slept in parts: timers of the system cannot be set for weeks. */
const LONGEST_SLEEP_SECONDS = 3600;
/** What comes due within this is due: adding up fractions must not leave a timer a nanosecond short. */
const TOLERANCE_SECONDS = 1e-6;

/** A clock that can be turned. Dispose forgets all that is still to come. */
export function createSandboxClock({
  clock,
  speed,
  startSeconds,
  onFailure = () => undefined,
}: SandboxClockDeps): SandboxClock & Disposable {
  const realStart = clock.now().getTime();
  const timers = new Set<Timer>();
  let turnedSeconds = startSeconds ?? realStart / 1000;
  /** While time is turned, it stands at the moment of the work that is being done. */
  let pinnedSeconds: number | undefined;
  let turning: Promise<void> = Promise.resolve();
  let isClosed = false;
  let wake = new AbortController();
  let count = 0;

  const running = (): number =>
    turnedSeconds + ((clock.now().getTime() - realStart) / 1000) * speed;
  const nowSeconds = (): number => pinnedSeconds ?? running();
  const nextTimer = (): Timer | undefined =>
    [...timers].reduce<Timer | undefined>((first, timer) => earlier(first, timer), undefined);

  const fire = async (timer: Timer): Promise<void> => {
    timers.delete(timer);
    try {
      await timer.work();
    } catch (failure) {
      onFailure(failure);
    }
  };

  const turnTo = async (target: number): Promise<void> => {
    for (;;) {
      const timer = nextTimer();
      if (isClosed || timer === undefined || timer.atSeconds > target + TOLERANCE_SECONDS) return;
      pinnedSeconds = Math.max(pinnedSeconds ?? timer.atSeconds, timer.atSeconds);
      await fire(timer);
      // What the work set going may itself wait for a turn of the event loop before it sets its own timer.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  /** One turning at a time: two at once would do the work of one moment in the time of another. */
  const inTurn = async (work: () => Promise<void>): Promise<void> => {
    turning = turning.then(work, work);
    return turning;
  };

  /** Sleeps until the first timer is due in real time. */
  const keepTime = async (): Promise<void> => {
    while (!isClosed && timers.size > 0) {
      const due = nextTimer()?.atSeconds ?? Infinity;
      const left = (due - running()) / speed;
      if (left <= 0) {
        await inTurn(async () => {
          await turnTo(running());
          pinnedSeconds = undefined;
        });
        continue;
      }
      wake = new AbortController();
      const { signal } = wake;
      await clock.sleep(Math.min(left, LONGEST_SLEEP_SECONDS), { signal }).catch(() => undefined);
    }
  };
  let keeping = false;
  const keep = (): void => {
    wake.abort();
    if (keeping || speed <= 0) return;
    keeping = true;
    void keepTime().finally(() => {
      keeping = false;
      if (timers.size > 0 && !isClosed) keep();
    });
  };

  return {
    speed,
    nowSeconds,
    after(seconds, work) {
      count += 1;
      const timer = { atSeconds: nowSeconds() + Math.max(0, seconds), order: count, work };
      timers.add(timer);
      keep();
      return () => {
        timers.delete(timer);
      };
    },
    async advance(seconds) {
      await inTurn(async () => {
        const target = running() + Math.max(0, seconds);
        pinnedSeconds = running();
        await turnTo(target);
        turnedSeconds += Math.max(0, target - running());
        pinnedSeconds = undefined;
      });
      keep();
    },
    [Symbol.dispose]() {
      isClosed = true;
      timers.clear();
      wake.abort();
    },
  };
}

function earlier(first: Timer | undefined, other: Timer): Timer {
  if (first === undefined || other.atSeconds < first.atSeconds) return other;
  return other.atSeconds === first.atSeconds && other.order < first.order ? other : first;
}
