import { describe, expect, it } from 'vitest';
import { limitLines, MAX_LINE_BYTES } from '../../../src/mcp/line-limit.ts';
import { fc } from '../../support/property.ts';

async function through(chunks: readonly Buffer[]): Promise<{ passed: string; answers: string[] }> {
  const answers: string[] = [];
  const passed: Buffer[] = [];
  const stream = limitLines((line) => answers.push(line));
  stream.on('data', (chunk: Buffer) => passed.push(chunk));
  for (const chunk of chunks)
    if (!stream.write(chunk)) await new Promise((resolve) => stream.once('drain', resolve));
  const end = new Promise((resolve) => stream.once('end', resolve));
  stream.end();
  await end;
  return { passed: Buffer.concat(passed).toString(), answers };
}

it('leaves a byte order mark out, on the first line and on any other', async () => {
  const bytes = Buffer.from('\uFEFF{"id":1}\n\uFEFF{"id":2}\r\n');
  for (const cut of [1, 2, 5, bytes.length])
    expect(await through([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual({
      passed: '{"id":1}\n{"id":2}\r\n',
      answers: [],
    });
});

it('takes a batch apart, so that each of its messages is answered', async () => {
  const { passed } = await through([Buffer.from('[{"id":1},{"id":"[2]"}]\r\n[]\n[nonsense\n')]);
  expect(passed).toBe('{"id":1}\n{"id":"[2]"}\n[nonsense\n');
});

const large = 'x'.repeat(MAX_LINE_BYTES);

describe('the limit on one line of stdin', () => {
  it('passes every whole line unchanged, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string()),
        fc.array(fc.nat(50), { minLength: 1 }),
        async (lines, cuts) => {
          const text = lines.map((line) => `${line.replaceAll('\n', ' ')}\n`).join('');
          const bytes = Buffer.from(text);
          const chunks: Buffer[] = [];
          for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
            const size = (cuts[turn % cuts.length] ?? 0) + 1;
            chunks.push(bytes.subarray(at, at + size));
            at += size;
          }
          expect(await through(chunks)).toEqual({ passed: text, answers: [] });
        },
      ),
      { numRuns: 50 },
    );
  });

  it.each([
    ['id first', `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"x":"${large}"}}`, 7],
    [
      'id last',
      `{"method":"tools/call","params":{"x":"${large}"},"jsonrpc":"2.0","id":"a-b"}`,
      'a-b',
    ],
    [
      'an id in the arguments is not the id',
      `{"method":"tools/call","params":{"id":1,"x":"${large}"},"jsonrpc":"2.0","id":2}`,
      2,
    ],
  ])(
    'answers a tool call that is too long with our error, and goes on: %s',
    async (_name, line, id) => {
      const { passed, answers } = await through([
        Buffer.from(`${line}\n`),
        Buffer.from('{"next":1}\n'),
      ]);
      expect(passed).toBe('{"next":1}\n');
      expect(answers).toHaveLength(1);
      expect(JSON.parse(answers[0] ?? '')).toMatchObject({
        id,
        result: { isError: true, structuredContent: { code: 'too_large', retryable: false } },
      });
    },
  );

  it('answers other requests with a protocol error and says nothing about what has no id', async () => {
    const { answers } = await through([
      Buffer.from(`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"x":"${large}"}}\n`),
      Buffer.from(
        `{"jsonrpc":"2.0","method":"notifications/x","params":{"id":9,"x":"${large}"}}\n`,
      ),
    ]);
    expect(answers.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { id: 1, error: { code: -32_600 } },
    ]);
  });
});
