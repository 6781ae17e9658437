import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { createOutput } from '../../../src/sessions/output.ts';
import { createPreamble } from '../../../src/sessions/preamble.ts';
import { fc } from '../../support/property.ts';

const TOKEN = 'tok_0123456789';
const NOISE = 'welcome\n';

function outputOf(from: PassThrough) {
  const preamble = createPreamble(TOKEN);
  return createOutput(from, (chunk) => preamble.push(chunk));
}

/** Lets a stream hand on what it holds. */
const turn = async (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 12 });

it('every byte after the token comes once and in order, however late it is asked for, in both ways', async () => {
  await fc.assert(
    fc.asyncProperty(
      pieces,
      fc.nat({ max: 12 }),
      fc.nat({ max: 30 }),
      fc.boolean(),
      async (parts, asked, cut, asStream) => {
        const from = new PassThrough();
        const output = outputOf(from);
        const start = Buffer.from(`${NOISE}${TOKEN} 17\n`);
        const all = [
          start.subarray(0, cut),
          start.subarray(cut),
          ...parts.map((part) => Buffer.from(part)),
        ];
        const got: Buffer[] = [];
        let over: Promise<unknown> | undefined;
        const ask = (): void => {
          if (asStream) {
            const stream = output.stream();
            stream.on('data', (chunk: Buffer) => got.push(chunk));
            over = once(stream, 'end');
          } else over = output.collect((chunk) => got.push(chunk));
        };
        for (const [index, part] of all.entries()) {
          if (index === asked) ask();
          from.write(part);
          await turn();
        }
        from.end();
        await turn();
        if (over === undefined) ask();
        await over;
        expect(Buffer.concat(got)).toEqual(Buffer.concat(all.slice(2)));
      },
    ),
    { numRuns: 60 },
  );
});

it('what is cut without an end is over too', async () => {
  const from = new PassThrough();
  const got: string[] = [];
  const over = outputOf(from).collect((chunk) => got.push(chunk.toString()));
  from.write(`${TOKEN} 17\nhalf`);
  await turn();
  from.destroy();
  await over;
  expect(got.join('')).toBe('half');
});

it('a stream that nobody reads holds the source up', async () => {
  const from = new PassThrough({ highWaterMark: 64 * 1024 });
  const stream = outputOf(from).stream();
  from.write(`${TOKEN} 17\n`);
  let written = 0;
  while (written < 1000 && from.write(Buffer.alloc(1024))) {
    written += 1;
    await turn();
  }
  expect(written).toBeLessThan(200);
  stream.resume();
  from.end();
  await once(stream, 'end');
});
