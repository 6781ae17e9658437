/** Hosts cut larger results, or put them into files that the model does not see. */
export const MAX_RESULT_CHARS = 40_000;
const MAX_ROUNDS = 2_000;

type Json = Record<string, unknown>;

/**
 * The one place where a result is made to fit: the longest lists lose their tails, then the longest strings, and
 * `omitted` says how many items of which list are not there. `summary`, `next` and pages (`output`: their offsets
 * would lie) stay whole.
 */
export function fitResult(result: Json, maxChars = MAX_RESULT_CHARS): Json {
  if (JSON.stringify(result).length <= maxChars) return result;
  const copy = structuredClone(result);
  const original = new Map<string, number>();
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const omitted = [...original].map(([path, count]) => `${path}: ${count} left out`);
    const fitted = original.size === 0 ? copy : { ...copy, omitted };
    const over = JSON.stringify(fitted).length - maxChars;
    if (over <= 0) return fitted;
    const longest = longestOf(copy);
    if (longest === undefined) return fitted;
    if (longest.kind === 'list') {
      const share = Math.ceil((longest.items.length * over) / longest.chars);
      const drop = Math.min(longest.items.length, Math.max(1, share));
      longest.items.splice(longest.items.length - drop, drop);
      original.set(longest.path, (original.get(longest.path) ?? 0) + drop);
    } else {
      const keep = Math.max(200, longest.text.length - over - 100);
      longest.replace(
        `${longest.text.slice(0, keep)}… [${longest.text.length - keep} characters left out]`,
      );
    }
  }
  return copy;
}

type Longest =
  | {
      readonly kind: 'list';
      readonly path: string;
      readonly chars: number;
      readonly items: unknown[];
    }
  | {
      readonly kind: 'text';
      readonly path: string;
      readonly chars: number;
      readonly text: string;
      readonly replace: (text: string) => void;
    };

const WHOLE = new Set(['summary', 'next', 'output', 'omitted']);
const SHORT_TEXT = 400;

/** Lists first: whole items less are honest, half a word is not. */
function longestOf(root: Json): Longest | undefined {
  const found: Longest[] = [];
  visit(root, '', found);
  const lists = found.filter(({ kind }) => kind === 'list');
  const candidates = lists.some(({ chars }) => chars > SHORT_TEXT) ? lists : found;
  return candidates.reduce<Longest | undefined>(
    (best, each) => (best === undefined || each.chars > best.chars ? each : best),
    undefined,
  );
}

function visit(node: Json, prefix: string, found: Longest[]): void {
  for (const [key, value] of Object.entries(node)) {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    if (prefix === '' && WHOLE.has(key)) continue;
    if (Array.isArray(value)) {
      const items: unknown[] = value;
      if (items.length > 0)
        found.push({ kind: 'list', path, chars: JSON.stringify(items).length, items });
      items.forEach((item, index) => {
        if (isJson(item)) visit(item, `${path}.${index}`, found);
      });
    } else if (typeof value === 'string') {
      if (value.length > SHORT_TEXT)
        found.push({
          kind: 'text',
          path,
          chars: value.length,
          text: value,
          replace: (text) => {
            node[key] = text;
          },
        });
    } else if (isJson(value)) visit(value, path, found);
  }
}

const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
