/** What kind of trouble it is; says who can do something about it [FA-03]. */
export const FAILURE_CLASSES = [
  'capacity',
  'config',
  'auth',
  'network',
  'host_fault',
  'oom_host',
  'oom_vram',
  'disk',
  'data',
  'code',
  'numerics',
  'timeout',
  'preempted',
  'user_cancelled',
  'transfer',
  'provider_api',
  'unknown',
] as const;
export type FailureClass = (typeof FAILURE_CLASSES)[number];
export type Retryable = 'same' | 'other_host' | 'after_fix' | 'wait' | 'no';

/** A known symptom, as data. The pattern is tried on one line at a time, so it needs no anchors across lines. */
export interface Rule {
  readonly id: string;
  readonly pattern: RegExp;
  readonly class: FailureClass;
  readonly retryable: Retryable;
  readonly remedy: string;
  /** The trace of a trouble elsewhere: never named before a cause [FA-04]. */
  readonly isEffect?: true;
}

/** `pattern` gets the flag `i`; keep every repetition in it bounded. */
export function rule(
  id: string,
  pattern: RegExp,
  kind: FailureClass,
  retryable: Retryable,
  remedy: string,
): Rule {
  return { id, pattern: new RegExp(pattern.source, 'i'), class: kind, retryable, remedy };
}
export function effect(...parts: Parameters<typeof rule>): Rule {
  return { ...rule(...parts), isEffect: true };
}
