import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, open, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as make from '../unit/files/proof-bytes.ts';

/** Beyond what the process has before it opens a file. */
const MAX_GROWTH_KB = 100_000;
const MAX_CPU_SECONDS = 20;
const MIB = 1 << 20;
const run = promisify(execFile);

interface Verdict {
  readonly file: string;
  readonly proof: string;
  readonly problem?: string;
  readonly cpuSeconds: number;
  readonly peakKb: number;
}

interface Answer {
  readonly verdicts: readonly Verdict[];
  readonly startKb: number;
  readonly peakKb: number;
}

let folder = '';
let work = '';
let script = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'proof-hostile-'));
  work = path.join(folder, 'work');
  await mkdir(work);
  script = path.join(folder, 'child.mjs');
  await build({
    entryPoints: [path.join(import.meta.dirname, '../support/proof-program.ts')],
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'error',
  });
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Proves files of these names in a process with little memory, and answers what it said of each. */
async function proveAll(names: readonly string[]): Promise<Answer> {
  const list = path.join(folder, 'list');
  await writeFile(list, names.map((name) => path.join(work, name)).join('\n'));
  const { stdout } = await run(process.execPath, ['--max-old-space-size=48', script, list], {
    cwd: work,
    maxBuffer: 16 * MIB,
  });
  return JSON.parse(stdout) as Answer;
}

/** A file that is `bytes` long and holds `parts` at their offsets; the rest is a hole of zeros. */
async function sparse(
  name: string,
  bytes: number,
  parts: readonly (readonly [number, Buffer])[],
): Promise<void> {
  await using handle = await open(path.join(work, name), 'w');
  await handle.truncate(bytes);
  for (const [at, part] of parts) await handle.write(part, 0, part.length, at);
}
const put = async (name: string, content: Buffer | string): Promise<void> =>
  writeFile(path.join(work, name), content);

/** Zeros that unpack to `mebibytes`, made without holding them. */
function zerosPacked(mebibytes: number): Buffer {
  const piece = deflateRawSync(Buffer.alloc(32 * MIB), { level: 9, finishFlush: 2 });
  return Buffer.concat([
    ...Array.from({ length: mebibytes / 32 }, () => piece),
    Buffer.from([3, 0]),
  ]);
}

describe('hostile files, in a process with little memory', () => {
  it('gets the right verdict on each, in time, under 100 MB, without running or writing anything [VE-09, AR-15]', async () => {
    const big = 10_000_000_000;
    const { u8, u32, u64, u16 } = make;
    const refused: string[] = [];
    const also = async (name: string, content: Buffer): Promise<void> => {
      refused.push(name);
      await put(name, content);
    };
    const holes = async (
      name: string,
      bytes: number,
      parts: readonly (readonly [number, Buffer])[],
    ): Promise<void> => {
      refused.push(name);
      await sparse(name, bytes, parts);
    };
    // Bombs.
    const packed = zerosPacked(4096);
    const bombEntry = Buffer.concat([
      u16(8),
      u32(0),
      u32(0),
      u32(packed.length),
      u32(4096 * MIB - 1),
      u16(1),
    ]);
    const local = Buffer.concat([
      u32(0x04034b50),
      u16(20),
      u16(0),
      bombEntry,
      u16(0),
      Buffer.from('x'),
      packed,
    ]);
    const central = Buffer.concat([
      u32(0x02014b50),
      u16(20),
      u16(20),
      u16(0),
      bombEntry,
      u16(0),
      u16(0),
      u16(0),
      u16(0),
      u32(0),
      u32(0),
      Buffer.from('x'),
    ]);
    const end = Buffer.concat([
      u32(0x06054b50),
      u16(0),
      u16(0),
      u16(1),
      u16(1),
      u32(central.length),
      u32(local.length),
      u16(0),
    ]);
    for (const name of ['bomb.zip', 'bomb.npz'])
      await also(name, Buffer.concat([local, central, end]));
    await also(
      'bomb.gz',
      Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), packed, u32(0), u32(0)]),
    );
    const member = make.zipOf({ x: { content: Buffer.alloc(40 * MIB), packed: true } });
    await also(
      'lying.zip',
      make.zipOf({ x: { content: Buffer.alloc(100), packed: true, toldBytes: 2_000_000_000 } }),
    );
    await put('honest.zip', member);
    // Escapes and links.
    for (const name of ['../x', '/x', 'a/../../x', 'a\\..\\x'])
      await also(
        `escape-${refused.length}.zip`,
        make.zipOf({ [name]: { content: Buffer.from('x') } }),
      );
    await also('link.tgz', gzipSync(make.tarOf(make.tarMember('x', Buffer.alloc(0), '2'))));
    await also(
      'pax.tgz',
      gzipSync(make.tarOf(make.pax('path', '../x'), make.tarMember('x', Buffer.alloc(1)))),
    );
    // Pickles with code.
    const code = make.callOf('os', 'system', `touch ${path.join(work, 'RAN')}`);
    await also('code.pkl', make.pickle(code));
    await also(
      'code.pt',
      make.torchZip(make.floats([1, 2]), make.tensorPickle(2, { extra: code })),
    );
    await also('code.pth', make.legacyTorch(make.floats([1]), make.pickle(code)));
    // Sizes that lie: ten gigabytes told by a header, or there as a hole.
    await also(
      'told.safetensors',
      make.safetensors(
        { w: { dtype: 'F32', shape: [2_500_000_000], data_offsets: [0, big] } },
        make.floats([1]),
      ),
    );
    await holes('long.safetensors', big, [[0, u64(big - 8)]]);
    await sparse('header.safetensors', big, [
      [0, u64(50_000_000)],
      [8, Buffer.from('{"a":')],
    ]);
    await holes('deep.safetensors', 8 * MIB, [
      [0, u64(4 * MIB)],
      [8, Buffer.from(`{"a":${'['.repeat(4 * MIB - 5)}`)],
    ]);
    await holes('hole.gguf', big, [
      [0, Buffer.concat([Buffer.from('GGUF'), u32(3), u64(1), u64(2 ** 52)])],
    ]);
    await holes('text.gguf', big, [
      [0, Buffer.concat([Buffer.from('GGUF'), u32(3), u64(1), u64(1), u64(9_000_000_000)])],
    ]);
    await holes('hole.pt', big, [[0, Buffer.from('PK\x03\x04')]]);
    await holes('hole.pkl', big, [
      [0, Buffer.concat([u8(0x80, 4), Buffer.from([0x8e]), u64(2n ** 62n)])],
    ]);
    await holes('hole.h5', big, [
      [0, make.hdf5().subarray(0, 60)],
      [48, Buffer.from('OHDR\x02\x03')],
      [54, u64(big - 100)],
    ]);
    await holes('hole.onnx', big, [[0, Buffer.from([8, 8, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f])]]);
    await holes('hole.parquet', big, [
      [0, Buffer.from('PAR1')],
      [big - 8, Buffer.concat([u32(30_000_000), Buffer.from('PAR1')])],
    ]);
    await holes('hole.mp4', big, [
      [0, Buffer.concat([make.be32(1), Buffer.from('mdat'), Buffer.alloc(8, 0x7f)])],
    ]);
    await holes('tiny.mp4', 64 * MIB, [[0, make.mp4().subarray(0, 16)]]);
    await holes('hole.png', big, [
      [0, Buffer.from('\x89PNG\r\n\x1a\n\x7f\xff\xff\xffIHDR\0\0\0\x01\0\0\0\x01', 'latin1')],
    ]);
    await holes('hole.xz', big, [
      [0, Buffer.from('\xfd7zXZ\0', 'latin1')],
      [big - 12, Buffer.concat([u32(0), u32(0xffffffff), u16(1), Buffer.from('YZ')])],
    ]);
    await holes('hole.zst', big, [[0, Buffer.concat([u32(0xfd2fb528), u8(4, 0)])]]);
    await holes('hole.tfrecord', big, [[0, u64(big)]]);
    await holes('hole.json', 200 * MIB, [[0, Buffer.from('{"a":')]]);
    await sparse('count.zip', 64 * MIB, [
      [
        64 * MIB - 22,
        Buffer.concat([
          u32(0x06054b50),
          u16(0),
          u16(0),
          u16(65_000),
          u16(65_000),
          u32(60 * MIB),
          u32(0),
          u16(0),
        ]),
      ],
    ]);
    // Depth and counts.
    await also('deep.json', Buffer.alloc(20 * MIB, '['));
    await also('deep.onnx', nested());
    await also(
      'deep.parquet',
      Buffer.concat([
        Buffer.from('PAR1'),
        Buffer.alloc(4096, 0x1c),
        u32(4096),
        Buffer.from('PAR1'),
      ]),
    );
    await also(
      'lists.parquet',
      Buffer.concat([
        Buffer.from('PAR1'),
        Buffer.alloc(4096, 0x19),
        u32(4096),
        Buffer.from('PAR1'),
      ]),
    );
    await also('deep.index.json', Buffer.from('{}'));
    await also('deep.safetensors.index.json', Buffer.from(`{"weight_map":${'['.repeat(2 * MIB)}`));
    // A cycle: the superblock's root is the superblock, an archive's directory is its own end.
    const cyclic = Buffer.from(make.hdf5());
    cyclic.writeBigUInt64LE(0n, 36);
    cyclic.writeUInt32LE(lookup(cyclic), 44);
    await also('cycle.h5', cyclic);
    refused.splice(refused.indexOf('deep.index.json'), 1);

    // Legal or unknowable, but hungry.
    const neither = [
      'header.safetensors',
      'count.zip',
      'marks.pkl',
      'memo.pkl',
      'names.pkl',
      'flat.json',
      'lines.jsonl',
      'honest.zip',
    ];
    await put('marks.pkl', Buffer.concat([u8(0x80, 4), Buffer.alloc(9 * MIB, '(')]));
    await put(
      'memo.pkl',
      Buffer.concat([
        u8(0x80, 4),
        Buffer.alloc(9 * MIB, Buffer.from('\x8c\x08abcdefgh\x94', 'latin1')),
      ]),
    );
    await put(
      'names.pkl',
      Buffer.concat([u8(0x80, 4), Buffer.alloc(9 * MIB, Buffer.from(')\x85', 'latin1'))]),
    );
    await put(
      'flat.json',
      Buffer.concat([Buffer.from('['), Buffer.alloc(9 * MIB, '[],'), Buffer.from('[]]')]),
    );
    await put('lines.jsonl', Buffer.alloc(9 * MIB, '{"a":[1,2]}\n'));
    // A link beside an index leads nowhere.
    await symlink('/etc/passwd', path.join(work, 'shard.safetensors'));
    await also(
      'model.safetensors.index.json',
      Buffer.from('{"weight_map":{"a":"shard.safetensors"}}'),
    );

    const before = (await readdir(folder)).concat(await readdir(work)).toSorted();
    const { verdicts, startKb, peakKb } = await proveAll([...refused, ...neither]);
    const after = (await readdir(folder)).concat(await readdir(work)).toSorted();

    for (const { file, proof, problem, cpuSeconds } of verdicts) {
      const name = path.basename(file);
      if (refused.includes(name))
        expect([name, proof, typeof problem]).toEqual([name, 'hash', 'string']);
      expect([name, cpuSeconds < MAX_CPU_SECONDS]).toEqual([name, true]);
    }
    const said = new Map(
      verdicts.map(({ file, proof, problem }) => [path.basename(file), problem ?? proof]),
    );
    expect(said.get('bomb.zip')).toContain('bomb');
    expect(said.get('bomb.gz')).toContain('bomb');
    expect(said.get('code.pkl')).toContain('the module os');
    expect(said.get('flat.json')).toBe('loaded');
    expect(said.get('lines.jsonl')).toBe('loaded');
    expect(said.get('honest.zip')).toBe('loaded');
    expect(['hash', 'its pickle is cut short']).toContain(said.get('marks.pkl'));
    expect(peakKb - startKb).toBeLessThan(MAX_GROWTH_KB);
    // Nothing was run, nothing was written.
    expect(after.filter((name) => name !== 'list')).toEqual(
      before.filter((name) => name !== 'list'),
    );
  }, 120_000);
});

/** Graphs within nodes within graphs. */
function nested(): Buffer {
  let graph: Buffer = Buffer.alloc(0);
  for (let depth = 0; depth < 200; depth += 1)
    graph = make.field(1, make.field(5, make.field(6, graph)));
  return Buffer.concat([make.field(1, 8), make.field(7, graph)]);
}
function lookup(block: Buffer): number {
  return make.lookup3(block.subarray(0, 44));
}
