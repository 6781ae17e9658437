import { type Bytes, broken } from './bytes.ts';
import { createJsonWalk, type JsonWalk } from './json-walk.ts';

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

export async function proveText(bytes: Bytes): Promise<'loaded'> {
  for await (const chunk of utf8Chunks(bytes))
    if (chunk.includes('\0')) throw broken('it holds NUL, so it is not text');
  return 'loaded';
}

export async function proveJson(bytes: Bytes): Promise<'structure' | 'loaded'> {
  const walk = createJsonWalk('it is not JSON, or it is cut short');
  for await (const chunk of utf8Chunks(bytes)) walk.push(chunk);
  return walk.end();
}

export async function proveJsonLines(bytes: Bytes): Promise<'structure' | 'loaded'> {
  let count = 0;
  let level: 'structure' | 'loaded' = 'loaded';
  let walk: JsonWalk | undefined;
  const endLine = (): void => {
    if (walk?.end() === 'structure') level = 'structure';
    walk = undefined;
  };
  for await (const chunk of utf8Chunks(bytes))
    for (const [index, part] of chunk.split('\n').entries()) {
      if (index > 0) endLine();
      if (walk === undefined && part.trim() === '') continue;
      if (walk === undefined) {
        count += 1;
        walk = createJsonWalk(`line ${count} is not JSON, or it is cut short`);
      }
      walk.push(part);
    }
  endLine();
  if (count === 0) throw broken('it has no line');
  return level;
}
