import type { FaultKind } from '../core/sandbox.ts';

/** Kinds whose size is a name, not a number. */
const NAMED = new Set(['wrong-gpu']);

/** Fault kinds from one sentence each. One that has a size names `value` in its sentence. */
export function faultTable(
  kinds: Readonly<Record<string, string>>,
  chaos: readonly string[],
): readonly FaultKind[] {
  return Object.entries(kinds).map(([kind, summary]) => ({
    kind,
    summary,
    ...(chaos.includes(kind) ? { chaos: true } : {}),
    ...(summary.includes('`value`') ? { size: NAMED.has(kind) ? 'name' : 'number' } : {}),
  }));
}
