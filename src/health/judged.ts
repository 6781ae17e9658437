import type { Finding } from '../core/job.ts';

/** One finding about a pod and how bad it is. */
export interface Judged {
  readonly level: 'ok' | 'warn' | 'rerent';
  readonly finding: Finding;
}

export function judged(
  level: Judged['level'],
  code: string,
  kind: string,
  remedy: string,
  evidence: string,
): Judged {
  const retryable = level === 'rerent' ? 'other_host' : 'after_fix';
  return { level, finding: { code, class: kind, retryable, remedy, evidence } };
}
