import { describe, expect, it } from 'vitest';
import {
  cleanOutput,
  commandsOf,
  findMarks,
  nonceOf,
  pageLength,
  programOutput,
} from '../../../src/sessions/framing.ts';
import { fc } from '../../support/property.ts';

const KEY = 'the key of this session';
const mark = (kind: string, id: string, status?: number, key = KEY): string =>
  `\x1b]7770;${kind};${id};${nonceOf(key, id)}${status === undefined ? '' : `;${status}`}\x07`;
const command = (id: string, text: string, output: string, status: number): string =>
  `${mark('S', id)}$ ${text}\r\n${mark('T', id)}${output}${mark('E', id, status)}`;

describe('findMarks', () => {
  it('tells where each command starts and ends, and how [SE-13]', () => {
    const text = `noise${command('cmd_a', 'echo hi', 'hi\r\n', 0)}${command('cmd_b', 'x', '', 127)}`;
    const marks = findMarks(Buffer.from(text), 1000, KEY);
    expect(marks.map(({ kind, id }) => `${kind} ${id}`)).toEqual([
      'S cmd_a',
      'T cmd_a',
      'E cmd_a',
      'S cmd_b',
      'T cmd_b',
      'E cmd_b',
    ]);
    expect(marks[0]?.start).toBe(1005);
    expect(text.slice((marks[1]?.end ?? 0) - 1000, (marks[2]?.start ?? 0) - 1000)).toBe('hi\r\n');
    expect(commandsOf(marks)).toEqual([
      { commandId: 'cmd_a', done: true, exitCode: 0 },
      { commandId: 'cmd_b', done: true, exitCode: 127 },
    ]);
  });

  it('believes no mark with a nonce of another key, whatever is around it', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.string(),
        fc.nat(255),
        (around, key, status) => {
          fc.pre(key !== KEY);
          const bytes = Buffer.from(`${around}${mark('E', 'cmd_a', status, key)}${around}`);
          expect(findMarks(bytes, 0, KEY)).toEqual([]);
        },
      ),
    );
  });

  it('the first end of a command counts; a start without an end is not done', () => {
    const text = command('cmd_a', 'x', '', 130) + mark('E', 'cmd_a', 0) + mark('S', 'cmd_b');
    expect(commandsOf(findMarks(Buffer.from(text), 0, KEY))).toEqual([
      { commandId: 'cmd_a', done: true, exitCode: 130 },
      { commandId: 'cmd_b', done: false },
    ]);
  });
});

describe('pages', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom(
      '\r\n',
      'ü',
      '€',
      '😀',
      '\x1b[31m',
      '\x1b[0m',
      mark('S', 'cmd_a'),
      mark('E', 'cmd_a', 1),
    ),
  );
  /** Cuts `bytes` into pages as a reader would, at most `maxBytes` each, the stream known to its end. */
  const cut = (bytes: Buffer, maxBytes: number): readonly Buffer[] => {
    const pages: Buffer[] = [];
    for (let offset = 0; offset < bytes.length; ) {
      const window = bytes.subarray(offset, offset + maxBytes + 256);
      const length = pageLength(window, maxBytes, offset + window.length === bytes.length);
      expect(length).toBeGreaterThan(0);
      pages.push(window.subarray(0, length));
      offset += length;
    }
    return pages;
  };

  it('every byte once, in order, and always on [SE-11]', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 600 }),
        fc.integer({ min: 1, max: 300 }),
        (raw, max) => {
          const bytes = Buffer.from(raw);
          expect(Buffer.concat(cut(bytes, max)).equals(bytes)).toBe(true);
        },
      ),
    );
  });

  it('no character is split, and a page is no larger than asked but for one character [SE-10]', () => {
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 60 }),
        fc.integer({ min: 1, max: 120 }),
        (pieces, max) => {
          const text = pieces.join('');
          const pages = cut(Buffer.from(text), max);
          expect(pages.map((page) => page.toString('utf8')).join('')).toBe(
            Buffer.from(text).toString('utf8'),
          );
          for (const page of pages) expect(page.length).toBeLessThanOrEqual(Math.max(max, 4));
        },
      ),
    );
  });

  it('a mark at the edge of a page of useful size leaves no crumbs in clean text [SE-14]', () => {
    fc.assert(
      fc.property(fc.integer({ min: 150, max: 400 }), fc.nat(400), (max, before) => {
        const text = `${'x'.repeat(before)}${command('cmd_a', 'y', 'z\n', 0)}${'w'.repeat(300)}`;
        const clean = cut(Buffer.from(text), max).map(cleanOutput).join('');
        expect(clean.replace(/[xw\n]/g, '')).toBe('$ yz');
      }),
    );
  });
});

describe('cleanOutput', () => {
  it('shows commands and outputs, each on its own line', () => {
    const text = command('cmd_a', 'printf hi', 'hi', 0) + command('cmd_b', 'true', '', 0);
    expect(cleanOutput(Buffer.from(text))).toBe('$ printf hi\nhi\n$ true\n');
  });

  it('hides our own files, where a shell names them or echoes the typed line', () => {
    const file = '/home/me/.gpu-lease/sessions/ses_abcdef/c/cmd_0123456789abcdef';
    expect(cleanOutput(Buffer.from(` . ${file}\r\nbash: ${file}.sh: line 1: syntax error`))).toBe(
      'bash: line 1: syntax error',
    );
  });

  it('takes no longer for hostile output than for any other: a server that is stuck here serves nobody', () => {
    const parts = ['x', '/', ' . ', '\r', '\x1b', '\x1b]7770;', '\x1b[1;', '/.gpu-lease/sessions/'];
    for (const part of parts) {
      const bytes = Buffer.from(part.repeat(64 * 1024).slice(0, 64 * 1024));
      const before = process.cpuUsage();
      cleanOutput(bytes);
      // Quadratic work takes 2 to 18 s of the processor here, linear work a few milliseconds.
      expect(process.cpuUsage(before).user / 1e6, JSON.stringify(part)).toBeLessThan(1);
    }
  });

  it('leaves nothing that moves a cursor, for any bytes [SA-07]', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (raw) => {
        const clean = cleanOutput(Buffer.from(raw));
        for (const character of clean) {
          const code = character.codePointAt(0) ?? 0;
          expect(code >= 32 || code === 10 || code === 9).toBe(true);
        }
      }),
    );
  });
});

describe('programOutput', () => {
  it('what is waited for is never found in the order to print it [SE-12]', () => {
    const text = command('cmd_a', 'sleep 9; echo READY', 'not yet\n', 0);
    expect(programOutput(Buffer.from(text))).toBe('not yet\n');
    expect(programOutput(Buffer.from(`${text}${mark('S', 'cmd_b')}$ echo READY`))).toBe(
      'not yet\n',
    );
  });
});
