import { broken } from './bytes.ts';

/** A text that nests deeper crashes many readers. */
const MAX_DEPTH = 5000;
const MAX_ATOM_CHARS = 100_000;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const SPACES = /[ \t\r\n]*/y;
const ATOM = /[^ \t\r\n,:\]}["{]*/y;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const WORDS = ['true', 'false', 'null'];
const PYTHON_WORDS = ['NaN', 'Infinity', '-Infinity'];

type Wanted = 'value' | 'valueOrEnd' | 'key' | 'keyOrEnd' | 'colon' | 'comma' | 'nothing';
type Inside = 'none' | 'string' | 'escape' | 'atom';

export interface JsonWalk {
  push(text: string): void;
  /** At the end of the text. `structure`: whole, but with NaN or Infinity, which only some readers take. */
  end(): 'structure' | 'loaded';
}

/** Checks the whole grammar of a JSON text in pieces, with memory for its depth alone. Throws `Broken` with `why`. */
export function createJsonWalk(why: string): JsonWalk {
  const nesting: boolean[] = [];
  let wanted: Wanted = 'value';
  let inside: Inside = 'none';
  let isKey = false;
  let hex = 0;
  let atom = '';
  let isPython = false;

  const isInside = (where: Inside): boolean => inside === where;
  const afterValue = (): void => {
    wanted = nesting.length === 0 ? 'nothing' : 'comma';
  };
  const endAtom = (): void => {
    if (PYTHON_WORDS.includes(atom)) isPython = true;
    else if (!WORDS.includes(atom) && !NUMBER.test(atom)) throw broken(why);
    atom = '';
    inside = 'none';
    afterValue();
  };
  const open = (isObject: boolean): void => {
    if (wanted !== 'value' && wanted !== 'valueOrEnd') throw broken(why);
    if (nesting.length >= MAX_DEPTH) throw broken('it nests too deep to be read safely');
    nesting.push(isObject);
    wanted = isObject ? 'keyOrEnd' : 'valueOrEnd';
  };
  const close = (isObject: boolean): void => {
    const may = wanted === 'comma' || wanted === (isObject ? 'keyOrEnd' : 'valueOrEnd');
    if (!may || nesting.pop() !== isObject) throw broken(why);
    afterValue();
  };
  const mark = (char: string): void => {
    switch (char) {
      case '{':
        open(true);
        return;
      case '[':
        open(false);
        return;
      case '}':
        close(true);
        return;
      case ']':
        close(false);
        return;
      case ':':
        if (wanted !== 'colon') throw broken(why);
        wanted = 'value';
        return;
      case ',':
        if (wanted !== 'comma') throw broken(why);
        wanted = nesting.at(-1) === true ? 'key' : 'value';
        return;
      case '"':
        isKey = wanted === 'key' || wanted === 'keyOrEnd';
        if (!isKey && wanted !== 'value' && wanted !== 'valueOrEnd') throw broken(why);
        inside = 'string';
        return;
      default:
        if (wanted !== 'value' && wanted !== 'valueOrEnd') throw broken(why);
        inside = 'atom';
    }
  };
  const skip = (pattern: RegExp, text: string, at: number): number => {
    pattern.lastIndex = at;
    pattern.test(text);
    return pattern.lastIndex;
  };

  return {
    push(text) {
      let at = 0;
      while (at < text.length) {
        if (inside === 'none') {
          at = skip(SPACES, text, at);
          const char = text[at];
          if (char === undefined) return;
          mark(char);
          if (!isInside('atom')) at += 1;
        } else if (inside === 'string') {
          at = skip(PLAIN, text, at);
          const char = text[at];
          if (char === undefined) return;
          at += 1;
          if (char === '\\') inside = 'escape';
          else if (char === '"') {
            inside = 'none';
            if (isKey) wanted = 'colon';
            else afterValue();
          } else throw broken(why);
        } else if (inside === 'escape') {
          const char = text[at] ?? '';
          at += 1;
          if (hex > 0) {
            if (!/[0-9a-fA-F]/.test(char)) throw broken(why);
            hex -= 1;
          } else if (char === 'u') hex = 4;
          else if (!'"\\/bfnrt'.includes(char)) throw broken(why);
          if (hex === 0) inside = 'string';
        } else {
          const end = skip(ATOM, text, at);
          atom += text.slice(at, end);
          at = end;
          if (atom.length > MAX_ATOM_CHARS) throw broken(why);
          if (at < text.length) endAtom();
        }
      }
    },
    end() {
      if (inside === 'atom') endAtom();
      if (inside !== 'none' || wanted !== 'nothing') throw broken(why);
      return isPython ? 'structure' : 'loaded';
    },
  };
}
