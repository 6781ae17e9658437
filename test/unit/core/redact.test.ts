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
