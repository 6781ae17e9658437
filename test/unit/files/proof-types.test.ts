import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prove } from '../../../src/files/prove.ts';
import { fc } from '../../support/property.ts';
import * as make from './proof-bytes.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'proof-types-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function put(name: string, content: string | Buffer): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, content);
  return file;
}
const opened = async (file: string, limit: 'structure' | 'loaded' = 'loaded') =>
  prove(file, { limit, signal: AbortSignal.timeout(60_000) });
const proofOf = async (name: string, content: string | Buffer) => opened(await put(name, content));

const { flip, floats, pickle, callOf } = make;
const data = floats([1, 2]);
/** By name: a good file, and where a flipped bit can be seen. All but the first byte ranges are content. */
const GOOD: readonly (readonly [string, Buffer, 'structure' | 'loaded', number])[] = [
  ['a.pt', make.torchZip(data), 'structure', 60],
  ['legacy.pth', make.legacyTorch(data), 'structure', 2],
  ['a.pkl', pickle('}'), 'structure', 2],
  ['a.h5', make.hdf5(), 'structure', 20],
  ['old.hdf5', make.oldHdf5(), 'structure', 96],
  ['a.onnx', make.onnxOf(make.onnxTensor(data)), 'structure', 0],
  ['a.zst', make.zstd(Buffer.from('content')), 'structure', 1],
  ['a.xz', make.xz(Buffer.alloc(8, 5)), 'structure', 22],
  ['a.bz2', make.bzip2(), 'structure', 12],
  ['a.mp4', make.mp4(), 'structure', 6],
  ['a.mov', make.mp4(), 'structure', 6],
  ['a.wav', make.wav(), 'structure', 8],
  ['a.webp', make.webp(), 'structure', 23],
  ['a.gif', make.gif(), 'structure', 19],
  ['a.parquet', make.parquet(), 'structure', 27],
  ['a.arrow', make.arrow(), 'structure', 0],
  ['a.pdf', make.pdf(), 'structure', 1],
  ['events.out.tfevents.1.host', make.events('one', 'two'), 'structure', 13],
  ['a.safetensors', make.weights({ w: [1, 2] }), 'loaded', 12],
  ['a.tar', make.tarOf(make.pax('path', 'x/y'), make.tarMember('x', data)), 'loaded', 3],
];

describe('every type', () => {
  it.each(GOOD)(
    '%s opens as far as its type allows [VE-01, VE-03]',
    async (name, content, proof) => {
      expect(await proofOf(name, content)).toEqual({ proof });
      expect(await opened(path.join(folder, name), 'structure')).toEqual({ proof: 'structure' });
    },
  );

  it.each(GOOD)('%s is never taken for whole when it is cut [VE-10]', async (name, content) => {
    const lengths = Array.from({ length: content.length - 1 }, (_, index) => index + 1);
    // An archive may end in more zeros than it needs.
    const short = name.endsWith('.tar')
      ? lengths.filter((length) => length < content.length - 512)
      : lengths;
    const step = Math.max(1, Math.floor(short.length / 150));
    for (const length of short.filter(
      (_, index) => index % step === 0 || index > short.length - 20,
    )) {
      const { proof, problem } = await proofOf(name, content.subarray(0, length));
      const isEndOfPdf = name === 'a.pdf' && length >= content.length - 1;
      const isRecord = name.startsWith('events') && length === content.length / 2;
      if (!isEndOfPdf && !isRecord)
        expect([length, proof, typeof problem]).toEqual([length, 'hash', 'string']);
    }
  });

  it.each(GOOD)(
    '%s with a bit flipped in what is checked is refused',
    async (name, content, _proof, at) => {
      const verdict = await proofOf(name, flip(content, at));
      expect(verdict.proof).toBe('hash');
      expect(verdict.problem).toMatch(/^[A-Za-z].{5,}/);
    },
  );

  it('a bit flipped within plain content is not seen by structure: only the hash sees it [VE-02]', async () => {
    const seen: string[] = [];
    for (const [name, content, , at] of [
      ['a.h5', make.hdf5(), 0, make.hdf5().length - 3],
      [
        'a.onnx',
        make.onnxOf(make.onnxTensor(data)),
        0,
        make.onnxOf(make.onnxTensor(data)).length - 3,
      ],
      ['a.zst', make.zstd(Buffer.from('content')), 0, 12],
      ['a.wav', make.wav(), 0, 100],
      ['a.mp4', make.mp4(), 0, make.mp4().length - 3],
      ['legacy.pth', make.legacyTorch(data), 0, make.legacyTorch(data).length - 3],
      ['a.safetensors', make.weights({ w: [1, 2] }), 0, make.weights({ w: [1, 2] }).length - 3],
    ] as const) {
      const { problem } = await proofOf(name, flip(content, at));
      if (problem !== undefined) seen.push(name);
    }
    expect(seen).toEqual([]);
  });

  it('a right beginning and any bytes after it end in an answer, and never in "loaded"', async () => {
    const starts = GOOD.filter(([, , proof]) => proof === 'structure').map(
      ([name, content]) => [name, content.subarray(0, 16)] as const,
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...starts),
        fc.uint8Array({ maxLength: 600 }),
        async ([name, start], rest) => {
          const { proof } = await proofOf(name, Buffer.concat([start, rest]));
          expect(['hash', 'structure']).toContain(proof);
        },
      ),
      { numRuns: 400 },
    );
  });

  it('a good file with any few bytes changed ends in an answer, and reaches no more than before', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...GOOD),
        fc.array(fc.tuple(fc.nat(700), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        async ([name, start, proof], edits) => {
          const content = Buffer.from(start);
          for (const [at, value] of edits) if (at < content.length) content[at] = value;
          expect(['hash', 'structure', proof]).toContain((await proofOf(name, content)).proof);
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe('pickles', () => {
  const proto4 = (...codes: readonly string[]) =>
    Buffer.from(`\x80\x04${codes.join('')}.`, 'latin1');
  const short = (word: string) => `\x8c${String.fromCharCode(word.length)}${word}`;
  it.each<[string, Buffer]>([
    ['os.system by name', pickle(callOf('os', 'system', 'touch x'))],
    ['posix, as Python writes it', pickle(callOf('posix', 'system', 'touch x'))],
    ['eval', pickle(callOf('builtins', 'eval', '1'))],
    ['eval of Python 2', pickle(callOf('__builtin__', 'eval', '1'))],
    [
      'a name put together on the stack',
      proto4(short('os'), short('system'), '\x93', short('x'), '\x85R'),
    ],
    [
      'a name out of the memo',
      proto4(short('os'), '\x94', '0', short('system'), '\x94', '0h\x00h\x01\x93'),
    ],
    ['a way through another module', proto4(short('torch'), short('os.system'), '\x93')],
    ['a name that is looked up later', pickle(callOf('builtins', 'getattr', 'system'))],
    ['INST', pickle('(', Buffer.from('X\x01\x00\x00\x00xios\nsystem\n', 'latin1'))],
    ['a name that is no text', proto4('NN\x93')],
    ['torch.load', pickle(callOf('torch.serialization', 'load', 'x'))],
  ])('%s is refused and named, in a pickle and in a checkpoint [VE-09]', async (_what, content) => {
    const inside = make.torchZip(data, make.tensorPickle(2, { extra: content.subarray(2, -1) }));
    for (const verdict of [
      await proofOf('a.pkl', content),
      await proofOf('a.pt', inside),
      await proofOf('a.pth', make.legacyTorch(data, content)),
    ]) {
      expect(verdict.proof).toBe('hash');
      expect(verdict.problem).toMatch(/its pickle (?:would call|hides)/);
    }
  });

  it('what builds code that cannot be seen is neither refused nor proven', async () => {
    expect(
      await proofOf(
        'a.pkl',
        pickle(callOf('cloudpickle.cloudpickle', '_make_skeleton_class', 'x')),
      ),
    ).toEqual({ proof: 'hash' });
    expect(
      await proofOf(
        'a.pt',
        make.torchZip(
          data,
          make.tensorPickle(2, { extra: callOf('builtins', 'getattr', 'STEPS') }),
        ),
      ),
    ).toEqual({ proof: 'hash' });
  });

  it('tensors must be there with their size, finite, and more than an empty dict [VE-04, VE-05]', async () => {
    expect((await proofOf('a.pt', make.torchZip(data, make.tensorPickle(3)))).problem).toContain(
      'another size',
    );
    expect(
      (
        await proofOf(
          'a.pt',
          make.torchZip(data, make.tensorPickle(2, { storage: 'DoubleStorage' })),
        )
      ).problem,
    ).toContain('another size');
    expect(
      (await proofOf('a.pth', make.legacyTorch(data, make.tensorPickle(3, { isLegacy: true }))))
        .problem,
    ).toContain('another size');
    expect((await proofOf('model.pt', make.torchZip(data, pickle('}')))).problem).toContain(
      'empty dict',
    );
    for (const make_ of [make.torchZip, make.legacyTorch]) {
      const verdict = await proofOf('a.pt', make_(floats([1, Number.NaN])));
      expect(verdict.problem).toContain('NaN or infinity');
      expect(await opened(path.join(folder, 'a.pt'), 'structure')).toEqual({ proof: 'structure' });
    }
  });

  it('a scheduler has no tensor and is fine; weights without one are not', async () => {
    const none = make.zipOf({ 's/data.pkl': { content: pickle('}(X\x01\x00\x00\x00aK\x01u') } });
    expect(await proofOf('scheduler.pt', none)).toEqual({ proof: 'structure' });
    expect(await proofOf('training_args.bin', none)).toEqual({ proof: 'structure' });
    expect((await proofOf('pytorch_model.bin', none)).problem).toBe('it holds no tensor');
  });
});

describe('numbers', () => {
  it.each([
    ['F16', [0, 0x7c]],
    ['BF16', [0x80, 0x7f]],
    ['F8_E5M2', [0x7d]],
    ['F8_E4M3', [0xff]],
    ['F64', [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]],
    ['C64', [0, 0, 0, 0, 0, 0, 0x80, 0x7f]],
  ] as const)('sees what is not finite in %s [VE-04]', async (dtype, bytes) => {
    const tensor = (content: Buffer) =>
      make.safetensors({ w: { dtype, shape: [1], data_offsets: [0, bytes.length] } }, content);
    expect((await proofOf('a.safetensors', tensor(Buffer.from(bytes)))).problem).toContain(
      'NaN or infinity',
    );
    expect(await proofOf('a.safetensors', tensor(Buffer.alloc(bytes.length, 0x11)))).toEqual({
      proof: 'loaded',
    });
  });
});

describe('folders of weights', () => {
  const index = (map: Readonly<Record<string, string>>, total?: number) =>
    JSON.stringify({ metadata: { total_size: total }, weight_map: map });
  const name = 'model.safetensors.index.json';
  it('an index needs each file, each tensor and the size that it tells [VE-05]', async () => {
    await put('model-1.safetensors', make.weights({ a: [1, 2] }));
    await put('model-2.safetensors', make.weights({ b: [1, 2] }));
    const map = { a: 'model-1.safetensors', b: 'model-2.safetensors' };
    expect(await proofOf(name, index(map, 16))).toEqual({ proof: 'structure' });
    expect((await proofOf(name, index(map, 24))).problem).toContain('another size');
    expect((await proofOf(name, index({ ...map, c: 'model-2.safetensors' }))).problem).toContain(
      'lacks a tensor',
    );
    expect((await proofOf(name, index({ ...map, c: 'model-3.safetensors' }))).problem).toContain(
      'not beside it',
    );
    expect((await proofOf(name, index({ a: '../model-1.safetensors' }))).problem).toContain(
      'outside',
    );
    expect((await proofOf(name, '{"weight_map": {}}')).problem).toContain('names no tensor');
    await symlink(
      path.join(folder, 'model-1.safetensors'),
      path.join(folder, 'model-4.safetensors'),
    );
    expect((await proofOf(name, index({ a: 'model-4.safetensors' }))).problem).toContain(
      'not beside it',
    );
  });

  it('reads the names out of torch files too', async () => {
    await put('pytorch_model-1.bin', make.torchZip(data));
    const of = async (tensor: string) =>
      proofOf('pytorch_model.bin.index.json', index({ [tensor]: 'pytorch_model-1.bin' }));
    expect(await of('w')).toEqual({ proof: 'structure' });
    expect((await of('v')).problem).toContain('lacks a tensor');
  });

  it('an adapter needs its weights, pairs of one rank, and a B that is not zero', async () => {
    const config = '{"peft_type": "LORA", "r": 1, "base_model_name_or_path": "x"}';
    expect((await proofOf('adapter_config.json', config)).problem).toContain('not beside it');
    const lora = (up: readonly [number, number], rank = 1, last = 'lora_B') =>
      make.safetensors(
        {
          'm.lora_A.weight': { dtype: 'F32', shape: [1, 2], data_offsets: [0, 8] },
          [`m.${last}.weight`]: { dtype: 'F32', shape: [2 / rank, rank], data_offsets: [8, 16] },
        },
        floats([1, 2, ...up]),
      );
    expect(await proofOf('adapter_model.safetensors', lora([0, 3]))).toEqual({ proof: 'loaded' });
    expect(await proofOf('adapter_config.json', config)).toEqual({ proof: 'loaded' });
    expect((await proofOf('adapter_model.safetensors', lora([0, -0]))).problem).toContain('zero');
    expect((await proofOf('adapter_model.safetensors', lora([1, 3], 2))).problem).toContain(
      'unlike ranks',
    );
    expect(
      (await proofOf('adapter_model.safetensors', lora([1, 3], 1, 'other'))).problem,
    ).toContain('no matrix B');
  });

  it('data of an ONNX model lies beside it, never elsewhere, and is long enough', async () => {
    await put('weights.data', Buffer.alloc(64));
    await symlink(path.join(folder, 'weights.data'), path.join(folder, 'linked.data'));
    const of = async (location: string, offset = 0) =>
      proofOf('m.onnx', make.onnxOf(make.onnxOutside(location, offset, 16)));
    expect(await of('weights.data')).toEqual({ proof: 'structure' });
    expect((await of('weights.data', 60)).problem).toContain('cut short');
    expect((await of('missing.data')).problem).toContain('not beside it');
    expect((await of('linked.data')).problem).toContain('not beside it');
    for (const location of ['../weights.data', '/etc/passwd', 'a/../../b', 'C:\\x', ''])
      expect((await of(location)).problem).toContain('outside of its folder');
  });
});

describe('JSON in pieces', () => {
  it('agrees with the parser on every text', async () => {
    const words = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '1',
      '-0.5e3',
      '01',
      'true',
      'nul',
      '"\\u00e9"',
      '"\\x"',
      ' ',
      '"\n"',
      '-',
      '1.',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.json(),
          fc.array(words, { maxLength: 12 }).map((parts) => parts.join('')),
        ),
        async (text) => {
          const { proof } = await proofOf('p.json', text);
          let parsed = true;
          try {
            JSON.parse(text);
          } catch {
            parsed = false;
          }
          expect([text, proof]).toEqual([text, parsed ? 'loaded' : 'hash']);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('tar and parquet', () => {
  it.each([
    [
      'a path in a record before the member',
      make.tarOf(make.pax('path', '../../x'), make.tarMember('x', data)),
    ],
    [
      'a long name of GNU',
      make.tarOf(make.tarMember('L', Buffer.from('/etc/x\0'), 'L'), make.tarMember('x', data)),
    ],
    ['a link', make.tarOf(make.tarMember('x', Buffer.alloc(0), '2'))],
    [
      'ten gigabytes told by a record',
      make.tarOf(make.pax('size', '10000000000'), make.tarMember('x', data)),
    ],
  ])('refuses %s [AR-15]', async (_what, content) => {
    expect((await proofOf('h.tar', content)).problem).toMatch(/leads out|link|cut short/);
  });
  it('rows add up and columns lie inside', async () => {
    expect((await proofOf('a.parquet', make.parquet({ groupRows: 2 }))).problem).toContain(
      'add up',
    );
    expect((await proofOf('a.parquet', make.parquet({ columnBytes: 21 }))).problem).toContain(
      'outside',
    );
  });
});
