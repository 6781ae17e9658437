import { type Bytes, broken } from './bytes.ts';
import { utf8Chunks } from './text.ts';

/** A header, at least one row, equal column counts, quotes closed. A field in quotes may hold separators and line ends. */
export function proveTable(separator: string): (bytes: Bytes) => Promise<'loaded'> {
  return async (bytes) => {
    let columns: number | undefined;
    let fields = 1;
    let rows = 0;
    let quoted = false;
    let blank = true;
    const endRow = (): void => {
      if (!blank || fields > 1) {
        columns ??= fields;
        if (fields !== columns)
          throw broken(`row ${rows + 1} has ${fields} columns and the header has ${columns}`);
        rows += 1;
      }
      fields = 1;
      blank = true;
    };
    for await (const chunk of utf8Chunks(bytes))
      for (const char of chunk) {
        if (char === '"') {
          quoted = !quoted;
          blank = false;
        } else if (quoted) continue;
        else if (char === separator) fields += 1;
        else if (char === '\n') endRow();
        else if (char === '\0') throw broken('it holds NUL, so it is not text');
        else if (char !== '\r') blank = false;
      }
    if (quoted) throw broken('a quote is not closed; the file is cut short');
    endRow();
    if (rows < 2) throw broken('it has no row below its header');
    return 'loaded';
  };
}
