import { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { feedInput } from '../../../src/sessions/feed-input.ts';

const turn = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Takes a chunk each time that it is let. */
function gated(): { readonly channel: Writable; readonly let: () => void; readonly got: string[] } {
  const got: string[] = [];
  let go: (() => void) | undefined;
  const channel = new Writable({
    highWaterMark: 4,
    write(chunk: Buffer, _encoding, done) {
      go = () => {
        got.push(chunk.toString('latin1'));
        done();
      };
    },
  });
  return { channel, let: () => go?.(), got };
}

describe('what is fed to a channel', () => {
  it('arrives whole and in order, and each chunk is told of when it was copied, not before', async () => {
    const { channel, let: next, got } = gated();
    const told: string[] = [];
    const chunks = Array.from({ length: 20 }, (_, index) => `chunk ${index}`);
    const source = Readable.from(chunks.map((text) => Buffer.from(text)));
    feedInput(source, channel, (chunk) => told.push(chunk.toString('latin1')));
    for (let count = 0; count < chunks.length; count += 1) {
      await expect.poll(() => channel.writableLength).toBeGreaterThan(0);
      expect(told).toEqual(chunks.slice(0, count));
      // A full channel holds no more than it has room for.
      expect(channel.writableLength).toBeLessThanOrEqual(16);
      next();
      await turn();
      await turn();
    }
    await finished(channel);
    expect(got).toEqual(chunks);
    expect(told).toEqual(chunks);
  });

  it('stays where it is when nobody reads on, and is not told of', async () => {
    const { channel } = gated();
    channel.on('error', () => undefined);
    const told: Buffer[] = [];
    let asked = 0;
    const source = Readable.from(
      (function* () {
        for (;;) {
          asked += 1;
          yield Buffer.alloc(8);
        }
      })(),
      { objectMode: false, highWaterMark: 8 },
    );
    feedInput(source, channel, (chunk) => told.push(chunk));
    await expect.poll(() => channel.writableLength).toBeGreaterThan(0);
    channel.destroy();
    channel.emit('drain');
    for (let count = 0; count < 50; count += 1) await turn();
    expect(asked).toBeLessThan(10);
    expect(told).toEqual([]);
    expect(source.isPaused()).toBe(true);
    source.destroy();
  });
});
