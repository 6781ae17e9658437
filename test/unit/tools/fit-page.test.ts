import { expect, it } from 'vitest';
import { fitPage } from '../../../src/tools/fit-page.ts';
import { fc } from '../../support/property.ts';

it('pages fit, lose nothing and never go back, whatever escaping does to them', async () => {
  const pieces = fc.array(fc.constantFrom('\x1b[31m', '"', '\\', '\n', '\x00', 'plain text '), {
    minLength: 2_000,
    maxLength: 12_000,
  });
  await fc.assert(
    fc.asyncProperty(pieces, async (parts) => {
      const log = parts.join('');
      const read = async (request: { offset?: number | undefined; maxBytes: number }) => {
        const { offset = 0, maxBytes } = request;
        const output = log.slice(offset, offset + maxBytes);
        const nextOffset = offset + output.length;
        return Promise.resolve({ output, offset, nextOffset, hasMore: nextOffset < log.length });
      };
      let all = '';
      for (let more = true; more; ) {
        const page = await fitPage({ offset: all.length, maxBytes: 40_000 }, read);
        expect(JSON.stringify(page.output).length).toBeLessThanOrEqual(36_000);
        expect(page.offset).toBe(all.length);
        expect(page.nextOffset).toBeGreaterThan(page.offset);
        all += page.output;
        more = page.hasMore;
      }
      expect(all).toBe(log);
    }),
    { numRuns: 30 },
  );
});

it('waits only once', async () => {
  const waits: (number | undefined)[] = [];
  await fitPage({ maxBytes: 40_000, waitSeconds: 45 }, async ({ waitSeconds, maxBytes }) => {
    waits.push(waitSeconds);
    const output = '\x1b'.repeat(maxBytes);
    return Promise.resolve({ output, offset: 0, nextOffset: maxBytes, hasMore: true });
  });
  expect(waits.length).toBeGreaterThan(1);
  expect(waits[0]).toBe(45);
  expect(new Set(waits.slice(1))).toEqual(new Set([0]));
});

it('last lines stay the last lines when escaping makes them too long', async () => {
  const log = '\x1b'.repeat(100_000) + 'the end';
  const page = await fitPage(
    { maxBytes: 40_000, tailLines: 10 },
    async ({ offset, maxBytes }: { offset?: number; maxBytes: number; tailLines: number }) => {
      const from = offset ?? log.length - maxBytes;
      const output = log.slice(from, from + maxBytes);
      const nextOffset = from + output.length;
      return Promise.resolve({
        output,
        offset: from,
        nextOffset,
        hasMore: nextOffset < log.length,
      });
    },
  );
  expect(JSON.stringify(page.output).length).toBeLessThanOrEqual(36_000);
  expect(page.output).toMatch(/the end$/);
  expect(page.hasMore).toBe(false);
});
