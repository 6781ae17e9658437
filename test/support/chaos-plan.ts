import type { FaultRule } from '../../src/core/sandbox.ts';
import { CLOUDS, type KilledCloud } from './cloud-kill.ts';
import { randomFrom } from './random.ts';

/** What an agent does with a pod, in order. */
export const STEPS = [
  'find',
  'quote',
  'create',
  'ready',
  'session',
  'sync',
  'job',
  'finish',
  'fetch',
  'destroy',
] as const;
export type ChaosStep = (typeof STEPS)[number];

/** When the client or the server is gone: so long after a step began. */
export interface Strike {
  readonly step: ChaosStep;
  readonly milliseconds: number;
  /** `kill`: SIGKILL of the server. `hangup`: its client is gone, the server ends by itself. `leave`: both live, and nobody asks for anything. */
  readonly how: 'kill' | 'hangup' | 'leave';
}
export interface ChaosPlan {
  readonly seed: number;
  readonly cycle: number;
  readonly cloud: KilledCloud;
  /** A state folder of its own, and nobody comes back: neither a server nor a watcher. */
  readonly isAbandoned: boolean;
  readonly ttlMinutes: number;
  /** Before the first call. */
  readonly startMilliseconds: number;
  /** It is allowed to rent without a quote. */
  readonly isAuto: boolean;
  readonly jobSeconds: number;
  readonly fileBytes: number;
  readonly strike?: Strike;
  /** Another server comes so long after the first one died: `work` goes on with the pod, `repeat` orders it again first, `look` asks once. */
  readonly comeback?: {
    readonly seconds: number;
    readonly what: 'work' | 'repeat' | 'look';
  };
  /** SIGKILL of the watcher, seconds after the first call. */
  readonly watcherDiesAt?: number;
  /** SIGKILL (or SIGSTOP) of every process of the machine, so long after a step began. */
  readonly podDies?: {
    readonly step: ChaosStep;
    readonly milliseconds: number;
    /** It is not heard any more, and is charged on. */
    readonly isSilent?: true;
  };
  /** The links to the cloud are cut or stand still, so long after a step began. */
  readonly network?: {
    readonly step: ChaosStep;
    readonly milliseconds: number;
    readonly seconds: number;
    readonly kind: 'cut' | 'freeze';
  };
  readonly fault?: FaultRule;
  /** So long after a cycle that did not end its pod the deadline is due, whatever it was. */
  readonly hurrySeconds?: number;
}

type Template = Omit<FaultRule, 'cloud' | 'times' | 'skip'>;
const WIRE: readonly Template[] = [
  { kind: 'rate-limit' },
  { kind: 'http-500' },
  { kind: 'http-502' },
  { kind: 'http-503' },
  { kind: 'html' },
  { kind: 'truncated' },
  { kind: 'drop-before' },
  { kind: 'drop-after' },
  { kind: 'stall' },
  { kind: 'slow', value: 8 },
];
const OWN: Readonly<Record<KilledCloud, readonly Template[]>> = {
  vast: [
    { kind: 'offer-taken' },
    { kind: 'create-failed-with-contract' },
    { kind: 'create-without-instance' },
    { kind: 'create-unavailable' },
    { kind: 'list-lag', value: 10 },
    { kind: 'oci-error' },
    { kind: 'exits', afterSeconds: 15 },
    { kind: 'offline', afterSeconds: 15 },
    { kind: 'vanishes', afterSeconds: 25 },
    { kind: 'stuck-loading' },
    { kind: 'ssh-nowhere' },
    { kind: 'destroy-lingers', value: 15 },
    { kind: 'destroy-ignored' },
    { kind: 'destroy-fails' },
    { kind: 'destroy-404' },
    { kind: 'null-once' },
    { kind: 'reads-nothing' },
  ],
  runpod: [
    { kind: 'no-capacity' },
    { kind: 'create-wrong' },
    { kind: 'create-null' },
    { kind: 'done-but-500' },
    { kind: 'list-lag', value: 10 },
    { kind: 'no-runtime' },
    { kind: 'exits', afterSeconds: 15 },
    { kind: 'vanishes', afterSeconds: 25 },
    { kind: 'runtime-flaps' },
    { kind: 'terminate-lingers', value: 15 },
    { kind: 'terminate-ignored' },
    { kind: 'terminate-fails' },
    { kind: 'terminate-404' },
    { kind: 'deadline-ignored' },
    { kind: 'null-once' },
    { kind: 'reads-nothing' },
  ],
  lambda: [
    { kind: 'no-capacity' },
    { kind: 'launch-fails-with-instance' },
    { kind: 'id-unknown', value: 10 },
    { kind: 'list-lag', value: 10 },
    { kind: 'stuck-booting' },
    { kind: 'unhealthy', afterSeconds: 15 },
    { kind: 'preempted', afterSeconds: 20 },
    { kind: 'vanishes', afterSeconds: 25 },
    { kind: 'ssh-nowhere' },
    { kind: 'terminate-fails' },
    { kind: 'terminate-ignored' },
    { kind: 'terminate-404' },
    { kind: 'terminate-lingers', value: 15 },
    { kind: 'null-once' },
    { kind: 'reads-nothing' },
  ],
};
const COMEBACKS = ['work', 'repeat', 'look', 'work'] as const;

/** The life cycles `from` to `from + count - 1` of a seed: each depends on the seed and its own number alone. */
export function chaosPlans(seed: number, count: number, from = 0): readonly ChaosPlan[] {
  return Array.from({ length: count }, (_, index) => planOf(seed, from + index));
}

function planOf(seed: number, cycle: number): ChaosPlan {
  const random = randomFrom(Math.imul(seed, 2_654_435_761) ^ Math.imul(cycle + 1, 40_503));
  const below = (limit: number): number => Math.floor(random() * limit);
  const chance = (share: number): boolean => random() < share;
  const pick = <T>(list: readonly T[]): T => {
    const found = list[below(list.length)];
    if (found === undefined) throw new Error('Nothing to choose from.');
    return found;
  };
  const cloud = CLOUDS[cycle % CLOUDS.length] ?? 'vast';
  // Lambda keeps no limit and a pod of it cannot end itself: where nobody is left at all, it is charged on, as docs/providers/lambda.md says.
  const isAbandoned = chance(0.12) && cloud !== 'lambda';
  const base = {
    seed,
    cycle,
    cloud,
    isAbandoned,
    ttlMinutes: 1 + below(4) / 4,
    startMilliseconds: isAbandoned ? 0 : below(12_000),
    isAuto: chance(0.25),
    jobSeconds: below(4),
    fileBytes: 1 + below(400_000),
  };
  if (isAbandoned)
    return {
      ...base,
      strike: {
        step: pick(['ready', 'session', 'job', 'fetch']),
        milliseconds: below(1500),
        how: 'kill',
      },
    };
  const strike: Strike = {
    step: pick(STEPS),
    milliseconds: below(2500),
    how: pick(['kill', 'kill', 'kill', 'hangup', 'leave']),
  };
  const isStruck = chance(0.75);
  const fault = chance(0.5)
    ? {
        ...pick(chance(0.35) ? WIRE : OWN[cloud]),
        cloud,
        times: 1 + below(2),
        ...(chance(0.5) ? { skip: below(8) } : {}),
      }
    : undefined;
  return {
    ...base,
    ...(isStruck ? { strike } : {}),
    ...(isStruck && strike.how !== 'leave' && chance(0.5)
      ? { comeback: { seconds: below(20), what: pick(COMEBACKS) } }
      : {}),
    ...(chance(0.3) ? { watcherDiesAt: 5 + below(80) } : {}),
    ...(chance(0.15)
      ? {
          podDies: {
            step: pick(['ready', 'session', 'job', 'fetch']),
            milliseconds: below(3000),
            ...(chance(0.4) ? { isSilent: true as const } : {}),
          },
        }
      : {}),
    ...(chance(0.3)
      ? {
          network: {
            step: pick(STEPS),
            milliseconds: below(2000),
            seconds: 1 + below(10),
            kind: pick(['cut', 'freeze']),
          },
        }
      : {}),
    ...(fault === undefined ? {} : { fault }),
  };
}
