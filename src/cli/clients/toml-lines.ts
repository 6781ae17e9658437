import { parse } from 'smol-toml';
import { z } from 'zod';

export interface TomlLine {
  /** With its line break. */
  readonly text: string;
  /** The parts of the name when the line opens a table. */
  readonly header?: readonly string[] | undefined;
  /** Neither blank nor only a comment. */
  readonly significant: boolean;
}

/** A table; of an array of tables (`[[name]]`) the one that it holds. */
const tableSchema = z.union([
  z.record(z.string(), z.unknown()),
  z.tuple([z.record(z.string(), z.unknown())]).transform(([table]) => table),
]);

interface State {
  readonly quote: '' | '"""' | "'''";
  readonly depth: number;
}

/** Splits valid TOML into lines and tells table headers from what only looks like one inside strings and arrays. */
export function tomlLines(text: string): readonly TomlLine[] {
  let state: State = { quote: '', depth: 0 };
  return (text.match(/[^\n]*\n|[^\n]+$/g) ?? []).map((line) => {
    const open = state.quote !== '' || state.depth > 0;
    const trimmed = line.trim();
    const header = !open && trimmed.startsWith('[') ? headerOf(trimmed) : undefined;
    if (header === undefined) state = after(line, state);
    const significant = open || (trimmed !== '' && !trimmed.startsWith('#'));
    return { text: line, header, significant };
  });
}

/** The parser itself reads the name, so that quoting and spaces mean what they mean to it. */
function headerOf(line: string): readonly string[] {
  const names: string[] = [];
  let table = tableSchema.safeParse(parse(line));
  while (table.success) {
    const [entry] = Object.entries(table.data);
    if (entry === undefined) break;
    names.push(entry[0]);
    table = tableSchema.safeParse(entry[1]);
  }
  return names;
}

function after(line: string, before: State): State {
  let { quote, depth } = before;
  for (let index = 0; index < line.length; index += 1) {
    const rest = line.slice(index);
    if (quote !== '') {
      if (quote === '"""' && rest.startsWith('\\')) index += 1;
      else if (rest.startsWith(quote)) {
        // Up to two quotes may stand right before the closing three.
        index += closingLength(rest, quote) - 1;
        quote = '';
      }
      continue;
    }
    const string = /^(?:"""|'''|"(?:\\.|[^"\\])*"|'[^']*')/.exec(rest)?.[0];
    if (string === '"""' || string === "'''") quote = string;
    if (string !== undefined) index += string.length - 1;
    else if (rest.startsWith('#')) break;
    else if (rest.startsWith('[') || rest.startsWith('{')) depth += 1;
    else if (rest.startsWith(']') || rest.startsWith('}')) depth -= 1;
  }
  return { quote, depth };
}

function closingLength(rest: string, quote: '"""' | "'''"): number {
  const mark = quote.charAt(0);
  let length = 3;
  while (length < 5 && rest.charAt(length) === mark) length += 1;
  return length;
}
