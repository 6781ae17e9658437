import { describe, expect, it } from 'vitest';
import { podIdSchema } from '../../../src/core/ids.ts';
import { chooseCodec } from '../../../src/files/codec.ts';
import { createPace } from '../../../src/files/pace.ts';

const choose = (options: Partial<Parameters<typeof chooseCodec>[0]>): string =>
  chooseCodec({ ratio: 0.65, rates: {}, zstd: true, gzip: true, ...options });

describe('how a stream is packed', () => {
  it('not at all, where the data does not shrink or the pod has no packer', () => {
    expect(choose({ ratio: 0.95, rates: { none: 1e6 } })).toBe('none');
    expect(choose({ rates: { none: 1e6 }, zstd: false, gzip: false })).toBe('none');
  });

  it('over an unknown line only when the data shrinks well', () => {
    expect(choose({ ratio: 0.4 })).toBe('zstd');
    expect(choose({ ratio: 0.65 })).toBe('none');
    expect(choose({ ratio: 0.4, zstd: false })).toBe('none');
    expect(choose({ ratio: 0.2, zstd: false })).toBe('gzip');
  });

  it('where the line is slower than the packer', () => {
    expect(choose({ rates: { none: 10e6 } })).toBe('zstd');
    expect(choose({ rates: { none: 10e6 }, zstd: false })).toBe('gzip');
    expect(choose({ rates: { none: 40e6 }, zstd: false })).toBe('none');
    expect(choose({ rates: { none: 140e6 } })).toBe('none');
  });

  it('never stays with a packer that was the slower of the two', () => {
    // A busy moment made the line seem slow, and packed it was slower still.
    expect(choose({ rates: { none: 50e6, zstd: 45e6 } })).toBe('none');
    expect(choose({ rates: { none: 50e6, zstd: 75e6 } })).toBe('zstd');
    // So fast that the packer may be what was slow: tried without, once.
    expect(choose({ ratio: 0.3, rates: { zstd: 90e6 } })).toBe('none');
    expect(choose({ ratio: 0.3, rates: { zstd: 20e6 } })).toBe('zstd');
  });

  it('by what each pod carried, each way for itself', () => {
    const pace = createPace();
    const [one, other] = ['ssh:one', 'ssh:other'].map((id) => podIdSchema.parse(id));
    if (one === undefined || other === undefined) throw new Error('two pods');
    pace(one).note('none', 100e6, 2);
    pace(one).note('zstd', 100e6, 1);
    // Too little, or in no time, says nothing.
    pace(one).note('none', 1000, 1);
    pace(one).note('none', 100e6, 0);
    expect(pace(one).rates()).toEqual({ none: 50e6, zstd: 100e6 });
    expect(pace(other).rates()).toEqual({});
  });
});
