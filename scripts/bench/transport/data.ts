/* Trees and files from a seed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { randomFrom } from '../../../test/support/random.ts';

export const KIB = 1024;
export const MIB = 1024 * KIB;
const DELTA_BLOCK = 128 * KIB;
const SPOT = 4 * KIB;
const SHOWN_DIFFERENCES = 400;

/** Bytes that do not compress. */
export function noise(bytes: number, random: () => number): Buffer {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  for (let at = 0; at < words.length; at += 1) words[at] = random() * 2 ** 32;
  return Buffer.from(words.buffer, 0, bytes);
}

/** Something like source text: compresses about as well. */
function prose(bytes: number, words: readonly string[], random: () => number): Buffer {
  const parts: string[] = [];
  for (let length = 0; length < bytes; ) {
    const word = words[Math.floor(random() ** 2 * words.length)] ?? '';
    const end = random() < 0.12 ? '\n    ' : ' ';
    parts.push(word, end);
    length += word.length + end.length;
  }
  return Buffer.from(parts.join('').slice(0, bytes));
}

const wordsOf = (random: () => number): string[] =>
  Array.from({ length: 4000 }, () =>
    Array.from({ length: 2 + Math.floor(random() * 9) }, () =>
      String.fromCharCode(97 + Math.floor(random() * 26)),
    ).join(''),
  );

/** `count` files of source text of 2 to 8 KiB. */
export function smallTree(folder: string, count: number): readonly string[] {
  const random = randomFrom(1);
  const words = wordsOf(random);
  return Array.from({ length: count }, (_, index) => {
    const name = path.join(`pkg${index % 40}`, `mod${Math.floor(index / 40) % 10}`, `f${index}.py`);
    put(path.join(folder, name), prose((2 + random() * 6) * KIB, words, random));
    return name;
  });
}

/** `count` files of 4 to 200 KiB, about 100 KiB in the middle; four in ten do not compress. */
export function mixedTree(folder: string, count: number): void {
  const random = randomFrom(2);
  const words = wordsOf(random);
  for (let index = 0; index < count; index += 1) {
    const bytes = Math.floor((4 + random() * 196) * KIB);
    const isNoise = random() < 0.4;
    const name = isNoise ? `d${index % 25}/b${index}.bin` : `d${index % 25}/t${index}.txt`;
    put(path.join(folder, name), isNoise ? noise(bytes, random) : prose(bytes, words, random));
  }
}

/** A file of noise. */
export async function noiseFile(file: string, mebibytes: number, seed: number): Promise<void> {
  mkdirSync(path.dirname(file), { recursive: true });
  const random = randomFrom(seed);
  await using handle = await open(file, 'w');
  for (let at = 0; at < mebibytes; at += 1) await handle.write(noise(MIB, random));
}

/** Writes 4 KiB anew in one of every hundred blocks of 128 KiB. */
export async function changeSpots(file: string, mebibytes: number, seed: number): Promise<void> {
  const random = randomFrom(seed);
  const blocks = (mebibytes * MIB) / DELTA_BLOCK;
  await using handle = await open(file, 'r+');
  for (let spot = 0; spot < Math.max(1, Math.round(blocks / 100)); spot += 1)
    await handle.write(
      noise(SPOT, random),
      0,
      SPOT,
      Math.floor(random() * blocks) * DELTA_BLOCK + Math.floor(random() * (DELTA_BLOCK - SPOT)),
    );
}

/** Writes one file in `every` anew, as long as it was. */
export function changeFiles(
  folder: string,
  names: readonly string[],
  every: number,
  seed: number,
): number {
  const random = randomFrom(seed);
  const words = wordsOf(random);
  const chosen = names.filter((_, index) => (index + seed) % every === 0);
  for (const name of chosen)
    writeFileSync(path.join(folder, name), prose(3 * KIB + random() * KIB, words, random));
  return chosen.length;
}

/** A copy with files of its own and the old times, which no cache has seen. */
export const freshCopy = (from: string, to: string): void => {
  cpSync(from, to, { recursive: true, preserveTimestamps: true });
};

/** Throws when the two trees or files differ in a byte or a name. */
export async function mustBeEqual(one: string, other: string): Promise<void> {
  const program = 'diff';
  const child = spawn(program, ['-rq', one, other], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await once(child, 'close');
  if (child.exitCode !== 0) throw new Error(`not the same: ${said.slice(0, SHOWN_DIFFERENCES)}`);
}

function put(file: string, bytes: Buffer): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, bytes);
  // Old enough that nobody takes it for a file that is still written.
  utimesSync(file, 1_700_000_000, 1_700_000_000);
}
