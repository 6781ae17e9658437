import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maskedFile } from '../../../src/core/masked-file.ts';
import { Redactor } from '../../../src/core/redact.ts';
import { fc } from '../../support/property.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'gpu-lease-redact-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function redactorOf(file: string): Redactor {
  const redactor = new Redactor();
  redactor.remember(path.join(folder, file));
  return redactor;
}

describe('secrets that another server used', () => {
  it('are masked by a server that was there before and by one that comes later', () => {
    const before = redactorOf('shared');
    expect(before.redact('is tr0ub4dor&3 known')).toBe('is tr0ub4dor&3 known');
    redactorOf('shared').add('tr0ub4dor&3');
    const after = redactorOf('shared');
    for (const redactor of [before, after])
      expect(redactor.redact('x tr0ub4dor&3, tr0ub4dor&3.')).toBe('x [redacted], [redacted].');
  });

  it('are nowhere in the file, which only its owner reads and which grows once per value', () => {
    const file = path.join(folder, 'kept', 'prints');
    const redactor = redactorOf('kept/prints');
    redactor.add('correct horse battery');
    const { size, mode } = statSync(file);
    expect(mode & 0o777).toBe(0o600);
    const text = readFileSync(file, 'latin1');
    expect(text).not.toContain('horse');
    expect(text).not.toContain(Buffer.from('correct horse battery').toString('base64url'));
    redactor.add('correct horse battery');
    redactorOf('kept/prints').add('correct horse battery');
    expect(statSync(file).size).toBe(size);
  });

  it('long and multi-line ones are masked whole, and line by line when a terminal changed the line ends', () => {
    const long = Array.from({ length: 700 }, (_, index) => `k${index}`).join('-');
    const pem = 'first line of the secret\nsecond line of the secret\nend';
    redactorOf('long').add(long);
    redactorOf('long').add(pem);
    const redactor = redactorOf('long');
    expect(redactor.redact(`<${long}>`)).toBe('<[redacted]>');
    expect(redactor.redact(pem.replaceAll('\n', '\r\n'))).toBe('[redacted]\r\n[redacted]\r\nend');
  });

  it('a file that cannot be written is an error, so that the value is not used', () => {
    const redactor = new Redactor();
    redactor.remember('/dev/null/x/prints');
    expect(() => {
      redactor.add('never to be used');
    }).toThrow(expect.objectContaining({ code: 'state_unwritable' }));
  });

  it('any text around any value is left as it was', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme', maxLength: 30 }), { minLength: 1, maxLength: 5 }),
        fc.string({ minLength: 6, maxLength: 40 }),
        (parts, value) => {
          fc.pre(!parts.some((part) => part.includes(value)));
          const redactor = new Redactor();
          redactor.add(value);
          const text = parts.join(value);
          fc.pre(text.split(value).length === parts.length);
          fc.pre(!value.startsWith(value.slice(-1)));
          expect(redactor.redact(text)).not.toContain(value);
          for (const part of parts)
            if (!part.includes('[')) expect(redactor.redact(part)).toBe(part);
        },
      ),
    );
  });
});

const VALUE = 'S3cr+t/v~lue "with\' $all';

describe('the usual codes of a secret', () => {
  const redactor = new Redactor();
  redactor.add(VALUE);
  it.each([
    ['base64', Buffer.from(VALUE).toString('base64')],
    ['base64 of its line', Buffer.from(`${VALUE}\n`).toString('base64')],
    ['base64url', Buffer.from(VALUE).toString('base64url')],
    ['hex', Buffer.from(VALUE).toString('hex')],
    ['HEX', Buffer.from(VALUE).toString('hex').toUpperCase()],
    ['a part of an address', encodeURIComponent(VALUE)],
    ['a form', new URLSearchParams({ x: VALUE }).toString().slice(2)],
    ['a string of JSON', JSON.stringify(VALUE).slice(1, -1)],
    ['a word of a shell', VALUE.replaceAll("'", `'\\''`)],
    ['a value that bash declares', VALUE.replaceAll(/["$\\`]/g, '\\$&')],
  ])('%s is masked whole [KE-11] [TR-05]', (_, code) => {
    expect(code).not.toBe(VALUE);
    expect(redactor.redact(`before ${code} after`)).toBe('before [redacted] after');
    expect(redactor.maskBytes(Buffer.from(`before ${code} after`)).toString()).toMatch(
      /^before \[redacted\]\** after$/,
    );
  });

  it('base64 is masked wherever in a longer text the value stood, and in broken lines', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 20 }),
        fc.uint8Array({ minLength: 6, maxLength: 200 }),
        fc.uint8Array({ maxLength: 20 }),
        (before, bytes, after) => {
          const value = Buffer.from(bytes).toString('base64url');
          const own = new Redactor();
          own.add(value);
          const all = Buffer.concat([before, Buffer.from(value), after]);
          const shown = own.redact(all.toString('base64'));
          // Of what is left, all but the bits at both edges belongs to its neighbours.
          const left = shown.replace('[redacted]', '').replaceAll('=', '').length;
          expect(shown).toContain('[redacted]');
          expect(left).toBeLessThanOrEqual(Math.ceil(((before.length + after.length) * 8) / 6) + 5);
          const broken = (
            Buffer.from(value)
              .toString('base64')
              .match(/.{1,76}/g) ?? []
          ).join('\n');
          const rest = own.redact(broken).replaceAll(/\[redacted\]|\n/g, '');
          expect(rest.length).toBeLessThan(8);
        },
      ),
    );
  });

  it('are known to the next server too', () => {
    redactorOf('codes').add(VALUE);
    const next = redactorOf('codes');
    expect(next.redact(Buffer.from(VALUE).toString('hex'))).toBe('[redacted]');
  });
});

describe('a page of what a pod printed', () => {
  const redactor = new Redactor();
  redactor.add('open sesame');
  const page = (text: string, start: number, end: number, isLive: boolean): string => {
    const masked = redactor.mask(Buffer.from(text), start);
    return masked.bytes.subarray(start, masked.pageEnd(start, end, isLive)).toString();
  };

  it('ends before a value that goes on behind it', () => {
    expect(page('say open sesame now', 0, 9, false)).toBe('say ');
    expect(page('say open sesame now', 4, 19, false)).toBe('[redacted]* now');
  });

  it('shows nothing of a value in which it begins, and goes on where it is all of the page', () => {
    expect(page('say open sesame now', 9, 19, false)).toBe('****** now');
    expect(page('say open sesame now', 6, 9, false)).toBe('***');
  });

  it('waits for the rest of what may be a value, as long as there may be more', () => {
    expect(page('say open ses', 0, 12, true)).toBe('say ');
    expect(page('say open ses', 0, 12, false)).toBe('say open ses');
    expect(page('open ses', 0, 8, true)).toBe('');
    expect(page('say open ses and', 0, 16, true)).toBe('say open ses and');
    expect(page('shall I ope', 0, 11, true)).toBe('shall I ope');
  });

  it('of any text and any cuts holds no part of a value that is worth a look', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 40 }),
        fc.string({ unit: fc.constantFrom('Q', 'Z', '7'), minLength: 8, maxLength: 30 }),
        fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 40 }),
        fc.integer({ min: 1, max: 12 }),
        (before, value, after, size) => {
          const own = new Redactor();
          own.add(value);
          const all = Buffer.from(`${before}${value}${after}`);
          let shown = '';
          // What is printed comes by so many bytes, and is read as it comes.
          for (let size_ = size, at = 0; at < all.length; size_ += size) {
            const there = all.subarray(0, Math.min(size_, all.length));
            const masked = own.mask(there, at);
            const end = masked.pageEnd(at, there.length, there.length < all.length);
            shown += masked.bytes.subarray(at, end).toString();
            at = end;
          }
          expect(shown.length).toBe(all.length);
          expect(shown).not.toMatch(/[QZ7]{4}/);
        },
      ),
    );
  });

  it('of a quotation that was cut within a value tells none of it', () => {
    expect(redactor.redact('it said open se… [400 more characters]')).toBe(
      'it said [redacted]… [400 more characters]',
    );
  });
});

describe('a file of what a pod printed', () => {
  it('masks values however the bytes arrive, and every other byte keeps its place', async () => {
    const redactor = new Redactor();
    redactor.add('open sesame');
    redactor.add('secret');
    const text = `before open sesame between ü open sesame secret after ${'x'.repeat(50)}secret`;
    const bytes = Buffer.from(text);
    for (const size of [1, 3, 7, 1000]) {
      const chunks: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
      const file = path.join(folder, `masked-${size}`);
      await pipeline(Readable.from(chunks), maskedFile(file, redactor, 5));
      expect(readFileSync(file).subarray(5).toString()).toBe(
        text.replaceAll('open sesame', '[redacted]*').replaceAll('secret', '******'),
      );
      expect(statSync(file).size).toBe(bytes.length + 5);
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
  });
});

describe('all texts of a value', () => {
  it('are masked as each by itself, names of fields too, with what another server added a moment ago', () => {
    const redactor = redactorOf('all');
    expect(redactor.redactAll({ a: 'open-sesame-4711' })).toEqual({ a: 'open-sesame-4711' });
    redactorOf('all').add('open-sesame-4711');
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'open-sesame-4711',
        'sk-0123456789abcdef',
        'AKIA0123456789ABCDEF',
        '[redacted]*',
      ),
      fc.constantFrom('[redacted]***', 'hf_0123456789abcdef', 'open-sesame', 'ghp_0123456789abcde'),
    );
    const text = fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.join(' '));
    fc.assert(
      fc.property(text, text, fc.integer(), (one, two, number) => {
        const [first, second] = [one, two].map((each) => redactor.redact(each));
        expect(redactor.redactAll({ [one]: [two, { deep: one }, number, null, true] })).toEqual({
          [first ?? '']: [second, { deep: first }, number, null, true],
        });
      }),
    );
    expect(
      redactor.redactAll(['x open-sesame-4711 y', 'sk-0123456789abcdef', '[redacted]*']),
    ).toEqual(['x [redacted] y', '[redacted]', '[redacted]']);
  });
});
