import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Every .txt of the folder as character codes, in order of name; the last tenth is held back for validation. */
export function loadText(folder) {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .sort();
  if (names.length === 0) throw new Error(`no .txt file in ${folder}`);
  const text = names.map((name) => readFileSync(path.join(folder, name), 'utf8')).join('\n');
  const characters = [...text];
  const vocabulary = [...new Set(characters)].sort();
  const codeOf = new Map(vocabulary.map((character, code) => [character, code]));
  const codes = Uint16Array.from(characters, (character) => codeOf.get(character));
  const split = Math.floor(codes.length * 0.9);
  return { vocabulary, codeOf, train: codes.subarray(0, split), valid: codes.subarray(split) };
}

/** What a model that knows only how frequent each character is would lose, in nats. The line to beat. */
export function unigramEntropy(codes, size) {
  const counts = new Float64Array(size);
  for (const code of codes) counts[code] += 1;
  let entropy = 0;
  for (const count of counts)
    if (count > 0) entropy -= (count / codes.length) * Math.log(count / codes.length);
  return entropy;
}
