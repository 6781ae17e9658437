import type { Writable } from 'node:stream';
import { cleanTerminalText } from '../core/untrusted.ts';

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Style = keyof typeof CODES;

/** Where a command speaks to. In JSON mode `line` is silent and `value` writes; otherwise it is the other way round. */
export interface Output {
  readonly json: boolean;
  line(text?: string): void;
  /** One JSON document on one line. */
  value(data: unknown): void;
  /** A question, without a line break; somebody sits there. */
  prompt(text: string): void;
  /** To stderr, in every mode. */
  note(text: string): void;
  paint(style: Style, text: string): string;
}

export function createOutput(options: {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly json: boolean;
  readonly colour: boolean;
}): Output {
  const { stdout, stderr, json, colour } = options;
  // A reader that went away (`| head`) must not end a command before it has cleaned up.
  for (const stream of [stdout, stderr])
    if (stream.listenerCount('error') === 0) stream.on('error', () => undefined);
  return {
    json,
    line: (text = '') => {
      if (!json) stdout.write(`${text}\n`);
    },
    value: (data) => {
      if (json) stdout.write(`${JSON.stringify(data)}\n`);
    },
    prompt: (text) => {
      stdout.write(text);
    },
    note: (text) => {
      stderr.write(`${text}\n`);
    },
    paint: (style, text) => (colour && !json ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text),
  };
}

/** Foreign or stored text on one line of a terminal: no control characters, no line breaks, bounded. */
export function shown(text: string, maxChars = 200): string {
  const line = cleanTerminalText(text).replace(/\s+/g, ' ').trim();
  return line.length <= maxChars ? line : `${line.slice(0, maxChars - 1)}…`;
}

/** Our own words for an agent, with what a person types in the place of a call with arguments. */
export function forPeople(text: string): string {
  return text
    .replace(
      /Call doctor with fix "(\w+)", then call again\./g,
      'Run gpu-lease doctor --fix $1, then run this again.',
    )
    .replace(/Call doctor with fix "(\w+)"/g, 'Run gpu-lease doctor --fix $1')
    .replace(/\bwith fix "(\w+)"/g, 'with gpu-lease doctor --fix $1')
    .replace(/\bfix "(\w+)"/g, 'run gpu-lease doctor --fix $1');
}

/** Left-aligned columns two spaces apart. Cells are made safe to show; the first row is the head. */
export function table(rows: readonly (readonly string[])[]): readonly string[] {
  const cells = rows.map((row) => row.map((cell) => shown(cell)));
  const widths: number[] = [];
  for (const row of cells)
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  return cells.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** "$0.1234" under a cent matters when money is counted by the second. */
export function usd(amount: number): string {
  return `$${amount.toFixed(amount !== 0 && amount < 1 ? 4 : 2)}`;
}

/** "42 s", "3 min 5 s", "2 h 10 min". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
