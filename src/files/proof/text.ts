import { type Bytes, broken } from './bytes.ts';

const MAX_JSON_BYTES = 256 << 20;
const MAX_LINE_CHARS = 64 << 20;

/** Decoded in pieces; throws `Broken` for what is not UTF-8. */
export async function* utf8Chunks(bytes: Bytes): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const decode = (chunk?: Buffer): string => {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
    } catch {
      throw broken('it is not UTF-8 text');
    }
  };
  for await (const chunk of bytes.chunks()) yield decode(chunk);
  yield decode();
}

/** Lines without their ends, and whether the last one was ended. */
export async function* utf8Lines(
  bytes: Bytes,
): AsyncGenerator<{ readonly text: string; readonly ended: boolean }, void, undefined> {
  let rest = '';
  for await (const chunk of utf8Chunks(bytes)) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > MAX_LINE_CHARS) throw broken('a line has no end');
    for (const text of parts) yield { text: text.replace(/\r$/, ''), ended: true };
  }
  if (rest !== '') yield { text: rest, ended: false };
}

export async function proveText(bytes: Bytes): Promise<'loaded'> {
  for await (const chunk of utf8Chunks(bytes))
    if (chunk.includes('\0')) throw broken('it holds NUL, so it is not text');
  return 'loaded';
}

export async function proveJson(bytes: Bytes): Promise<'structure' | 'loaded'> {
  if (bytes.size > MAX_JSON_BYTES) {
    await proveText(bytes);
    return 'structure';
  }
  let text = '';
  for await (const chunk of utf8Chunks(bytes)) text += chunk;
  return parses(text, 'it is not JSON, or it is cut short');
}

export async function proveJsonLines(bytes: Bytes): Promise<'structure' | 'loaded'> {
  let count = 0;
  let level: 'structure' | 'loaded' = 'loaded';
  for await (const { text } of utf8Lines(bytes)) {
    if (text.trim() === '') continue;
    count += 1;
    if (parses(text, `line ${count} is not JSON, or it is cut short`) === 'structure')
      level = 'structure';
  }
  if (count === 0) throw broken('it has no line');
  return level;
}

/** Python writes NaN and Infinity, which JSON has not: such a file is whole, but only some readers load it. */
function parses(text: string, why: string): 'structure' | 'loaded' {
  try {
    JSON.parse(text);
    return 'loaded';
  } catch {
    // tried again below
  }
  try {
    JSON.parse(
      text.replaceAll(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (token) =>
        token.startsWith('"') ? token : '0',
      ),
    );
    return 'structure';
  } catch {
    throw broken(why);
  }
}
