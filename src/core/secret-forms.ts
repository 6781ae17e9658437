import { Buffer } from 'node:buffer';

/** A longer value is known by its parts of this many bytes. */
export const WINDOW_BYTES = 1024;
/** Lines of a longer value that are known alone, since a terminal changes what is between lines. */
const LINE_CHARS = 16;
const MAX_LINES = 200;
/** Of a longer value only itself is known, not its codes. */
const MAX_CODED_BYTES = 8192;
/** `base64` breaks its lines here. */
const BASE64_LINE = 76;
/** Less of a broken line is no secret any more, and might stand anywhere. */
const LEAST_LINE_REST = 8;

/**
 * The byte strings by which a value is known in a text: itself and its usual codes, base64 also in the middle of a longer
 * code. None is longer than `WINDOW_BYTES`; what is longer comes in parts that cover it.
 */
export function formsOf(value: string): readonly Buffer[] {
  const forms = [Buffer.from(value), ...linesOf(value)];
  if (Buffer.byteLength(value) <= MAX_CODED_BYTES)
    forms.push(...codesOf(value).map((code) => Buffer.from(code)));
  const parts = forms.flatMap(windowsOf);
  return [...new Map(parts.map((part) => [part.toString('latin1'), part])).values()];
}

function codesOf(value: string): readonly string[] {
  const bytes = Buffer.from(value);
  const base64 = [
    bytes.toString('base64'),
    Buffer.concat([bytes, Buffer.from('\n')]).toString('base64'),
    ...[0, 1, 2].map((before) => base64Within(bytes, before)),
  ];
  const broken = base64.slice(0, 2).flatMap(brokenLines);
  const hex = bytes.toString('hex');
  // As the standard has it, as JavaScript does it, and in forms.
  const percent = [/[\w.~-]/, /[\w.~!'()*-]/, /[\w.*-]/].map((plain) => percentCode(bytes, plain));
  return [
    ...[...base64, ...broken].flatMap((code) => [
      code,
      code.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''),
    ]),
    hex,
    hex.toUpperCase(),
    ...percent.flatMap((code) => [code, code.replaceAll('%20', '+'), lower(code)]),
    JSON.stringify(value).slice(1, -1),
    // As shells show it: within single quotes, and within double quotes.
    value.replaceAll("'", `'\\''`),
    value.replaceAll(/["$\\`]/g, '\\$&'),
  ];
}

/** What is the same wherever the value stands behind `before` more bytes than a multiple of three. */
function base64Within(bytes: Buffer, before: number): string {
  const code = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
  return code.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
}

function brokenLines(code: string): readonly string[] {
  if (code.length <= BASE64_LINE) return [];
  const count = Math.ceil(code.length / BASE64_LINE);
  return Array.from({ length: count }, (_, line) =>
    code.slice(line * BASE64_LINE, (line + 1) * BASE64_LINE),
  ).filter((line) => line.length >= LEAST_LINE_REST);
}

function percentCode(bytes: Buffer, plain: RegExp): string {
  return Array.from(bytes, (byte) => {
    const letter = String.fromCharCode(byte);
    return byte < 0x80 && plain.test(letter)
      ? letter
      : `%${byte.toString(16).padStart(2, '0').toUpperCase()}`;
  }).join('');
}

function lower(code: string): string {
  return code.replaceAll(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());
}

function windowsOf(bytes: Buffer): readonly Buffer[] {
  const windows: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += WINDOW_BYTES) {
    const start = Math.max(0, Math.min(at, bytes.length - WINDOW_BYTES));
    windows.push(bytes.subarray(start, start + WINDOW_BYTES));
  }
  return windows;
}

function linesOf(value: string): readonly Buffer[] {
  if (!value.includes('\n')) return [];
  return value
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.length >= LINE_CHARS && Buffer.byteLength(line) <= WINDOW_BYTES)
    .slice(0, MAX_LINES)
    .map((line) => Buffer.from(line));
}
