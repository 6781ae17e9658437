import { describe, expect, it } from 'vitest';
import { fitResult } from '../../../src/mcp/fit-result.ts';
import { fc } from '../../support/property.ts';

const charsOf = (value: unknown): number => JSON.stringify(value).length;
const frame = { summary: 'It is so.', next: [{ tool: 'get_pod', why: 'Look.' }] };

describe('a result that is too large', () => {
  it('fits afterwards, keeps its words, and counts what it lost', () => {
    const items = fc.array(fc.record({ path: fc.string(), bytes: fc.nat() }), { maxLength: 400 });
    fc.assert(
      fc.property(items, items, fc.string({ maxLength: 9_000 }), (files, missing, note) => {
        const result = { ...frame, manifest: { files }, missing, note };
        const fitted = fitResult(result, 3_000);
        expect(charsOf(fitted)).toBeLessThanOrEqual(3_000);
        expect(fitted).toMatchObject(frame);
        const left = (path: string): number =>
          Number(
            (fitted['omitted'] as string[] | undefined)
              ?.find((line) => line.startsWith(`${path}: `))
              ?.match(/\d+/)?.[0] ?? 0,
          );
        const kept = fitted as unknown as typeof result;
        expect(kept.missing.length + left('missing')).toBe(missing.length);
        expect(kept.manifest.files.length + left('manifest.files')).toBe(files.length);
        expect(kept.missing).toEqual(missing.slice(0, kept.missing.length));
      }),
      { numRuns: 200 },
    );
  });

  it('is not touched when it fits, and the original never is', () => {
    const small = { ...frame, missing: ['a'] };
    expect(fitResult(small)).toBe(small);
    const large = { ...frame, missing: Array.from({ length: 900 }, () => 'x'.repeat(90)) };
    fitResult(large);
    expect(large.missing.length).toBe(900);
  });

  it('keeps a page whole, since its offsets would lie', () => {
    const output = 'x'.repeat(30_000);
    const result = { ...frame, output, missing: Array.from({ length: 900 }, () => 'y'.repeat(90)) };
    const fitted = fitResult(result);
    expect(fitted['output']).toBe(output);
    expect(charsOf(fitted)).toBeLessThanOrEqual(40_000);
  });
});
