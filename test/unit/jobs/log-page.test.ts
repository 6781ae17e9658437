import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { type LogCut, matchesOf, pageOf, tailOf } from '../../../src/jobs/log-page.ts';
import { fc } from '../../support/property.ts';

const whole = (text: string): LogCut => {
  const bytes = Buffer.from(text);
  return { bytes, offset: 0, size: bytes.length, complete: true };
};

describe('log pages', () => {
  it('put together give every byte once, in whole characters', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'é', '日', '😀', '\n', ' '), { maxLength: 60 }),
        fc.integer({ min: 1, max: 20 }),
        (parts, maxBytes) => {
          const text = parts.join('');
          const all = Buffer.from(text);
          let offset = 0;
          let read = '';
          for (let turns = 0; turns <= all.length; turns += 1) {
            const bytes = all.subarray(offset, offset + Math.max(4, maxBytes));
            const page = pageOf({ bytes, offset, size: all.length, complete: true }, maxBytes);
            expect(page.offset).toBe(offset);
            read += page.output;
            offset = page.nextOffset;
            if (!page.hasMore) break;
          }
          expect(read).toBe(text);
          expect(offset).toBe(all.length);
        },
      ),
    );
  });

  it('leave half a character for later while the job runs, and give it when it has ended', () => {
    const cut = { bytes: Buffer.from([0x61, 0xc3]), offset: 0, size: 2 };
    expect(pageOf({ ...cut, complete: false }, 100)).toMatchObject({ output: 'a', nextOffset: 1 });
    expect(pageOf({ ...cut, complete: true }, 100)).toMatchObject({
      output: 'a\ufffd',
      nextOffset: 2,
    });
  });

  it('drop escape sequences', () => {
    expect(pageOf(whole('\u001b[31mred\u001b[0m\n'), 99).output).toBe('red\n');
  });

  it('take the last lines as `tail -n` does', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'bb', '\n'), { maxLength: 30 }),
        fc.integer({ min: 1, max: 5 }),
        (parts, lines) => {
          const text = parts.join('');
          const pieces = text.split(/(?<=\n)/).filter((piece) => piece !== '');
          const tail = tailOf(whole(text), lines);
          expect(tail.bytes.toString()).toBe(pieces.slice(-lines).join(''));
          expect(tail.offset + tail.bytes.length).toBe(Buffer.byteLength(text));
        },
      ),
    );
  });

  it('find every matching line once, over pages', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('loss 1', 'LOSS 2', 'other', ''), { maxLength: 30 }),
        fc.integer({ min: 8, max: 40 }),
        fc.integer({ min: 8, max: 64 }),
        (lines, maxBytes, window) => {
          const all = Buffer.from(lines.map((line) => `${line}\n`).join(''));
          let offset = 0;
          let found = '';
          for (let turns = 0; turns <= all.length; turns += 1) {
            const bytes = all.subarray(offset, offset + window);
            const page = matchesOf(
              { bytes, offset, size: all.length, complete: true },
              'loss',
              maxBytes,
            );
            found += page.output;
            offset = page.nextOffset;
            if (!page.hasMore) break;
          }
          const expected = lines.filter((line) => /loss/i.test(line)).map((line) => `${line}\n`);
          expect(found).toBe(expected.join(''));
        },
      ),
    );
  });
});
