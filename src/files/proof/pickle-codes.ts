import { broken } from './bytes.ts';

type Effect =
  | 'none'
  | 'push'
  | 'number'
  | 'decimal'
  | 'text'
  | 'quoted'
  | 'emptyDict'
  | 'mark'
  | 'popMark'
  | 'fill'
  | 'gather'
  | 'tuple'
  | 'tuple1'
  | 'tuple2'
  | 'tuple3'
  | 'dup'
  | 'put'
  | 'putLine'
  | 'memoize'
  | 'get'
  | 'getLine'
  | 'global'
  | 'instance'
  | 'stackGlobal'
  | 'persistent'
  | 'stop';
/** Where an argument lies; undefined when the buffer ends before that can be said. */
type Measure = (
  buffer: Buffer,
  at: number,
) => { readonly start: number; readonly size: number; readonly next: number } | undefined;

export interface Operation {
  readonly effect: Effect;
  readonly bytes: Measure;
  /** Values that go from the stack before the effect. */
  readonly pops?: number;
}

const fixed =
  (size: number): Measure =>
  (_buffer, at) => ({ start: at, size, next: at + size });

/** A length of `width` bytes, then that many bytes. */
const counted =
  (width: 1 | 4 | 8): Measure =>
  (buffer, at) => {
    if (at + width > buffer.length) return undefined;
    const size = width === 8 ? Number(buffer.readBigUInt64LE(at)) : buffer.readUIntLE(at, width);
    if (!Number.isSafeInteger(at + size)) throw broken('its pickle is damaged');
    return { start: at + width, size, next: at + width + size };
  };

const lines =
  (count: 1 | 2): Measure =>
  (buffer, at) => {
    let end = at - 1;
    for (let line = 0; line < count; line += 1) {
      end = buffer.indexOf(0x0a, end + 1);
      if (end < 0) return undefined;
    }
    return { start: at, size: end - at, next: end + 1 };
  };

const bare = fixed(0);
const op = (effect: Effect, bytes: Measure = bare, pops = 0): Operation => ({
  effect,
  bytes,
  pops,
});

const LETTERS: Readonly<Record<string, Operation>> = {
  '(': op('mark'),
  '.': op('stop'),
  '0': op('none', bare, 1),
  '1': op('popMark'),
  '2': op('dup'),
  F: op('push', lines(1)),
  I: op('decimal', lines(1)),
  J: op('number', fixed(4)),
  K: op('number', fixed(1)),
  L: op('decimal', lines(1)),
  M: op('number', fixed(2)),
  N: op('push'),
  P: op('push', lines(1)),
  Q: op('persistent'),
  R: op('push', bare, 2),
  S: op('quoted', lines(1)),
  T: op('text', counted(4)),
  U: op('text', counted(1)),
  V: op('text', lines(1)),
  X: op('text', counted(4)),
  a: op('push', bare, 2),
  b: op('none', bare, 1),
  c: op('global', lines(2)),
  d: op('gather'),
  '}': op('emptyDict'),
  e: op('fill'),
  g: op('getLine', lines(1)),
  h: op('get', fixed(1)),
  i: op('instance', lines(2)),
  j: op('get', fixed(4)),
  l: op('gather'),
  ']': op('push'),
  o: op('gather'),
  p: op('putLine', lines(1)),
  q: op('put', fixed(1)),
  r: op('put', fixed(4)),
  s: op('push', bare, 3),
  t: op('tuple'),
  ')': op('push'),
  u: op('fill'),
  G: op('push', fixed(8)),
  B: op('push', counted(4)),
  C: op('push', counted(1)),
};
const NUMBERS: readonly Operation[] = [
  op('none', fixed(1)),
  op('push', bare, 2),
  op('push', fixed(1)),
  op('push', fixed(2)),
  op('push', fixed(4)),
  op('tuple1'),
  op('tuple2'),
  op('tuple3'),
  op('push'),
  op('push'),
  op('number', counted(1)),
  op('number', counted(4)),
  op('text', counted(1)),
  op('text', counted(8)),
  op('push', counted(8)),
  op('push'),
  op('fill'),
  op('gather'),
  op('push', bare, 3),
  op('stackGlobal'),
  op('memoize'),
  op('none', fixed(8)),
  op('push', counted(8)),
  op('push'),
  op('none'),
];

const BY_CODE = new Map<number, Operation>([
  ...Object.entries(LETTERS).map(([letter, entry]) => [letter.charCodeAt(0), entry] as const),
  ...NUMBERS.map((entry, index) => [0x80 + index, entry] as const),
]);

/** What a code of a pickle does to the stack; throws `Broken` for what is no code. */
export function operationOf(code: number): Operation {
  const operation = BY_CODE.get(code);
  if (operation === undefined) throw broken('its pickle is damaged');
  return operation;
}
