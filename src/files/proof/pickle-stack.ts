import { Broken, broken, unchecked } from './bytes.ts';
import type { Operation } from './pickle-codes.ts';
import { hostileGlobal, isOpaqueGlobal, isReaching } from './pickle-globals.ts';

/** A name that a pickle looks up; calling it is what makes a pickle dangerous. */
interface Global {
  readonly global: string;
}
/** What is known of a value on the stack; undefined: nothing that matters here. */
type Value = string | number | Global | readonly Value[] | undefined;

export interface PickleStorage {
  /** Last word of its type, for example `FloatStorage`. */
  readonly type: string;
  readonly items: number;
}
export interface PickleFacts {
  /** Tensor data that lies outside of the pickle, by key. */
  readonly storages: ReadonlyMap<string, PickleStorage>;
  readonly isEmptyDict: boolean;
  /** It builds code or opens another pickle, so nothing can be said of what it does. */
  readonly isOpaque: boolean;
}
/** What a pickle's codes have done so far, of which only names and sizes are kept. */
export interface PickleStack {
  run(operation: Operation, argument: Buffer): void;
  /** What is too long to be a name goes on the stack as nothing. */
  pushLong(): void;
  hasEnded(): boolean;
  /** Throws when the pickle has not ended. */
  facts(): PickleFacts;
  /** Whether joblib wrote it: raw arrays lie between its codes, so that it cannot be walked. */
  isJoblib(): boolean;
}

const MAX_KEPT = 250_000;
const EMPTY_DICT: readonly Value[] = [];

/** The stack and memo of a pickle; names that it would look up are compared with a list and never looked up. */
export function createPickleStack(onText?: (text: string) => void): PickleStack {
  let ended = false;
  let top: Value;
  let isOpaque = false;
  let isJoblib = false;
  let reaches = false;
  const storages = new Map<string, PickleStorage>();
  const stack: Value[] = [];
  const marks: number[] = [];
  const memo = new Map<number, Value>();
  let memoized = 0;
  let hasGaps = false;

  const pop = (): Value => {
    if (stack.length === 0 || stack.length === marks.at(-1)) throw broken('its pickle is damaged');
    return stack.pop();
  };
  const popMark = (): readonly Value[] => {
    const mark = marks.pop();
    if (mark === undefined) throw broken('its pickle is damaged');
    const count = stack.length - mark;
    const few = count <= 8 ? stack.slice(mark) : [];
    stack.length = mark;
    return few;
  };
  const push = (value: Value): void => {
    if (stack.length >= MAX_KEPT) throw unchecked('its pickle is too deep to walk here');
    stack.push(value);
  };
  const keep = (key: number): void => {
    const value = stack.at(-1);
    hasGaps ||= key > memoized;
    memoized = Math.max(memoized, key + 1);
    if (value === undefined) {
      memo.delete(key);
      return;
    }
    if (memo.size >= MAX_KEPT) throw unchecked('its pickle names too much to walk here');
    memo.set(key, value);
  };
  const lookUp = (module: Value, name: Value): void => {
    if (typeof module !== 'string' || typeof name !== 'string')
      throw broken('its pickle hides the name of what it would call');
    const hostile = hostileGlobal(module, name);
    if (hostile !== undefined) throw runs(hostile);
    isOpaque ||= isOpaqueGlobal(module, name);
    isJoblib ||= module.startsWith('joblib.');
    if (isOpaque && reaches) throw runs('a name that reaches for code');
    push({ global: `${module}.${name}` });
  };
  const text = (value: string): void => {
    onText?.(value);
    reaches ||= isReaching(value);
    if (isOpaque && reaches) throw runs('a name that reaches for code');
    push(value);
  };
  const persistent = (id: Value): void => {
    if (typeof id === 'object' && !('global' in id) && id[0] === 'storage') {
      const [, type, key, , items] = id;
      if (
        typeof type !== 'object' ||
        'length' in type ||
        typeof items !== 'number' ||
        typeof key === 'object'
      )
        throw broken('its pickle is damaged');
      if (storages.size >= MAX_KEPT) throw unchecked('it holds too many tensors to walk here');
      storages.set(String(key ?? ''), { type: type.global.split('.').at(-1) ?? '', items });
    }
    push(undefined);
  };

  const run = ({ effect, pops = 0 }: Operation, argument: Buffer): void => {
    for (let count = 0; count < pops; count += 1) pop();
    switch (effect) {
      case 'none':
        return;
      case 'push':
        push(undefined);
        return;
      case 'number':
        push(numberOf(argument));
        return;
      case 'decimal':
        push(decimalOf(argument));
        return;
      case 'text':
        text(argument.toString('utf8'));
        return;
      case 'quoted':
        text(argument.toString('latin1').replaceAll(/^['"]|['"]$/g, ''));
        return;
      case 'emptyDict':
        push(EMPTY_DICT);
        return;
      case 'mark':
        if (marks.length >= MAX_KEPT) throw unchecked('its pickle is too deep to walk here');
        marks.push(stack.length);
        return;
      case 'popMark':
        popMark();
        return;
      case 'fill':
        popMark();
        pop();
        push(undefined);
        return;
      case 'gather':
        popMark();
        push(undefined);
        return;
      case 'tuple':
        push(popMark());
        return;
      case 'tuple1':
      case 'tuple2':
      case 'tuple3': {
        const last = Array.from({ length: Number(effect.slice(-1)) }, pop);
        push(last.reverse());
        return;
      }
      case 'dup': {
        const value = pop();
        push(value);
        push(value);
        return;
      }
      case 'put':
        keep(numberOf(argument));
        return;
      case 'putLine':
        keep(decimalOf(argument));
        return;
      case 'memoize':
        // It takes the count of all keys as its key, which is only sure while none was left out.
        if (hasGaps) throw unchecked('its pickle keeps its values in an unusual order');
        keep(memoized);
        return;
      case 'get':
        push(memo.get(numberOf(argument)));
        return;
      case 'getLine':
        push(memo.get(decimalOf(argument)));
        return;
      case 'global':
      case 'instance': {
        const [module = '', name = ''] = argument.toString('utf8').split('\n');
        if (effect === 'instance') popMark();
        lookUp(module, name);
        return;
      }
      case 'stackGlobal': {
        const name = pop();
        lookUp(pop(), name);
        return;
      }
      case 'persistent':
        persistent(pop());
        return;
      case 'stop':
        top = pop();
        if (stack.length > 0 || marks.length > 0) throw broken('its pickle is damaged');
        ended = true;
        return;
    }
  };

  return {
    run,
    pushLong() {
      push(undefined);
    },
    hasEnded: () => ended,
    facts() {
      if (!ended) throw broken('its pickle is cut short');
      return {
        storages,
        isEmptyDict: top === EMPTY_DICT,
        isOpaque,
      };
    },
    isJoblib: () => isJoblib,
  };
}

/** Opening it would run code; nothing else about it matters then. */
export class Hostile extends Broken {}

function runs(what: string): Hostile {
  return new Hostile(
    `its pickle would call ${what} when it is opened. Open it nowhere; ask who made it`,
  );
}

/** Little-endian, at most six bytes; longer ones are no count, key or place. */
function numberOf(argument: Buffer): number {
  const size = Math.min(argument.length, 6);
  return size === 0 ? 0 : argument.readUIntLE(0, size);
}

function decimalOf(argument: Buffer): number {
  const value = Number.parseInt(argument.toString('latin1'), 10);
  return Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
