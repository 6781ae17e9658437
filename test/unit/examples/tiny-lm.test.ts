import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';

type Floats = Float32Array | Float64Array;
type Params = Record<string, Floats>;
interface Rng {
  readonly state: Int32Array;
  next(): number;
}
interface Model {
  readonly sizes: Readonly<Record<string, number>>;
  readonly params: Params;
}
interface Tensors {
  readonly tensors: Record<string, { shape: number[]; data: Float32Array | Int32Array }>;
  readonly metadata: Record<string, string>;
}
interface Modules {
  createRng(seed: number): Rng;
  createModel(sizes: Model['sizes'], rng: Rng, float: typeof Float64Array): Model;
  createBuffers(sizes: Model['sizes'], float: typeof Float64Array): unknown;
  zerosLike(params: Params): Params;
  lossAndGradient(
    model: Model,
    text: ArrayLike<number>,
    starts: readonly number[],
    grads: Params,
    buffers: unknown,
  ): number;
  encodeSafetensors(
    tensors: Record<string, { shape: number[]; data: Float32Array | Int32Array }>,
    metadata: Record<string, string>,
  ): Buffer;
  decodeSafetensors(bytes: Buffer): Tensors;
  readSafetensors(file: string): Tensors;
}

const example = path.resolve(import.meta.dirname, '../../../examples/tiny-lm');
const lib = await Promise.all(
  ['rng', 'model', 'safetensors'].map(
    async (name) =>
      (await import(pathToFileURL(path.join(example, `lib/${name}.mjs`)).href)) as object,
  ),
);
const modules = Object.assign({}, ...lib) as Modules;
const run = promisify(execFile);
const program = path.join(example, 'train.mjs');
const metricSchema = z.object({ step: z.int(), loss: z.number() });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'tiny-lm-test-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const train = async (out: string, ...more: string[]): Promise<string> => {
  const args = ['--batch', '8', '--out', path.join(folder, out), ...more];
  return (await run(process.execPath, [program, ...args])).stdout;
};
const checkpoints = (out: string): string[] =>
  readdirSync(path.join(folder, out))
    .filter((name) => /^checkpoint-\d+\.safetensors$/.test(name))
    .sort();
const metrics = (out: string): z.output<typeof metricSchema>[] =>
  readFileSync(path.join(folder, out, 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => metricSchema.parse(JSON.parse(line)));

/** Starts a run and sends `signal` after `lines` lines that match. */
async function interrupt(
  out: string,
  pattern: RegExp,
  lines: number,
  signal: NodeJS.Signals,
  ...more: string[]
): Promise<number | null> {
  const args = ['--batch', '8', '--out', path.join(folder, out), ...more];
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  let seen = 0;
  for await (const line of createInterface({ input: child.stdout }))
    if (pattern.test(line)) {
      seen += 1;
      if (seen === lines) child.kill(signal);
    }
  const [code] = (await ended) as [number | null];
  return code;
}

describe('the model', () => {
  it('has the gradients that finite differences give', () => {
    const sizes = { vocab: 5, context: 3, embed: 4, hidden: 6 };
    const model = modules.createModel(sizes, modules.createRng(3), Float64Array);
    const buffers = modules.createBuffers(sizes, Float64Array);
    const text = [0, 1, 2, 3, 4, 3, 2, 2, 1, 0];
    const starts = [0, 2, 5, 6];
    const loss = (): number =>
      modules.lossAndGradient(model, text, starts, modules.zerosLike(model.params), buffers);
    const grads = modules.zerosLike(model.params);
    modules.lossAndGradient(model, text, starts, grads, buffers);
    const step = 1e-5;
    let checked = 0;
    for (const [name, values] of Object.entries(model.params))
      for (const [index, value] of values.entries()) {
        values[index] = value + step;
        const above = loss();
        values[index] = value - step;
        const below = loss();
        values[index] = value;
        expect(grads[name]?.[index], `${name}[${index}]`).toBeCloseTo(
          (above - below) / (2 * step),
          8,
        );
        checked += 1;
      }
    expect(checked).toBe(5 * 4 + 12 * 6 + 6 + 6 * 5 + 5);
  });

  it('learns: the loss falls below what character frequencies alone can reach', async () => {
    const stdout = await train('a', '--steps', '250', '--batch', '32');
    expect(stdout).toMatch(/^step 25\/250 loss \d\.\d+ tok\/s \d+ eta \d+s$/m);
    const summary = z
      .object({ validLoss: z.number(), unigramEntropy: z.number(), beatsUnigram: z.literal(true) })
      .parse(JSON.parse(readFileSync(path.join(folder, 'a/summary.json'), 'utf8')));
    expect(summary.validLoss).toBeLessThan(summary.unigramEntropy - 0.3);
    expect(readFileSync(path.join(folder, 'a/sample.txt'), 'utf8').length).toBeGreaterThan(300);
  });
});

describe('safetensors', () => {
  it('writes the published layout: length, padded JSON header, offsets, raw little-endian values', () => {
    const data = Float32Array.of(1.5, -2, 3);
    const bytes = modules.encodeSafetensors(
      { a: { shape: [3], data }, r: { shape: [2], data: Int32Array.of(7, -1) } },
      { step: '4' },
    );
    const length = Number(bytes.readBigUInt64LE(0));
    expect(length % 8).toBe(0);
    expect(JSON.parse(bytes.toString('utf8', 8, 8 + length))).toEqual({
      __metadata__: { step: '4' },
      a: { dtype: 'F32', shape: [3], data_offsets: [0, 12] },
      r: { dtype: 'I32', shape: [2], data_offsets: [12, 20] },
    });
    expect(bytes.length).toBe(8 + length + 20);
    expect(bytes.readFloatLE(8 + length + 4)).toBe(-2);
    expect(bytes.readInt32LE(8 + length + 16)).toBe(-1);
    expect(modules.decodeSafetensors(bytes).tensors['a']?.data).toEqual(data);
  });

  it('refuses every file that is cut short', () => {
    const bytes = modules.encodeSafetensors(
      { a: { shape: [3], data: Float32Array.of(1, 2, 3) } },
      {},
    );
    for (let end = 0; end < bytes.length; end += 1)
      expect(() => modules.decodeSafetensors(bytes.subarray(0, end))).toThrow();
  });
});

describe('resuming', () => {
  const steps = ['--steps', '60', '--save-every', '20', '--log-every', '5'];

  it('gives bit for bit what an uninterrupted run gives [SP-05]', async () => {
    const long = ['--steps', '160', '--save-every', '80', '--log-every', '5'];
    await train('whole', ...long);
    const slow = [...long, '--pace', '8'];
    expect(await interrupt('cut', /^step 15\//, 1, 'SIGTERM', ...slow)).toBe(143);
    const at = Number(/\d+/.exec(checkpoints('cut').at(-1) ?? '')?.[0]);
    expect(at).toBeGreaterThanOrEqual(15);
    expect(at).toBeLessThan(160);
    expect(await train('cut', ...long)).toContain(`resumed at step ${at}\n`);
    for (const name of ['final.safetensors', 'sample.txt', 'summary.json'])
      expect(readFileSync(path.join(folder, 'cut', name))).toEqual(
        readFileSync(path.join(folder, 'whole', name)),
      );
    const seen = metrics('cut').map(({ step }) => step);
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
    const whole = new Map(metrics('whole').map(({ step, loss }) => [step, loss]));
    for (const { step, loss } of metrics('cut'))
      expect(whole.get(step) ?? loss, `step ${step}`).toBe(loss);
  });

  it('a kill -9 at any moment, saving included, leaves whole checkpoints [SP-04]', async () => {
    const always = ['--steps', '100000', '--save-every', '1', '--log-every', '1'];
    let before = 0;
    for (const lines of [2, 5, 3, 7]) {
      expect(await interrupt('k', /^(step|saved)/, lines, 'SIGKILL', ...always)).toBeNull();
      const names = checkpoints('k');
      for (const name of names) {
        const { tensors, metadata } = modules.readSafetensors(path.join(folder, 'k', name));
        expect(Object.keys(tensors)).toHaveLength(16);
        expect(Number(metadata['step'])).toBe(Number(/\d+/.exec(name)?.[0]));
      }
      const last = Number(/\d+/.exec(names.at(-1) ?? '')?.[0]);
      expect(last).toBeGreaterThan(before);
      before = last;
    }
  });

  it('goes back to the last whole checkpoint when the newest is damaged, without double metrics', async () => {
    await train('d', ...steps);
    const newest = checkpoints('d').at(-1) ?? '';
    truncateSync(path.join(folder, 'd', newest), 5_000);
    writeFileSync(path.join(folder, 'd', 'checkpoint-000061.safetensors.tmp'), 'half');
    const again = await train('d', ...steps);
    expect(again).toContain('resumed at step 40');
    const seen = metrics('d').map(({ step }) => step);
    expect(seen).toEqual([5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60]);
    expect(readdirSync(path.join(folder, 'd')).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('does nothing when the run is finished, and refuses to go on with other settings', async () => {
    await train('f', ...steps);
    const before = readFileSync(path.join(folder, 'f/metrics.jsonl'), 'utf8');
    expect(await train('f', ...steps)).toContain('already finished at step 60');
    expect(readFileSync(path.join(folder, 'f/metrics.jsonl'), 'utf8')).toBe(before);
    await expect(train('f', ...steps, '--seed', '2')).rejects.toThrow(/other settings/);
  });

  it('keeps the last two checkpoints and the best one', async () => {
    await train('p', '--steps', '12', '--save-every', '1');
    const names = checkpoints('p');
    expect(names.slice(-2)).toEqual([
      'checkpoint-000011.safetensors',
      'checkpoint-000012.safetensors',
    ]);
    expect(names.length).toBeLessThanOrEqual(3);
  });
});

it('the smoke run takes two steps, says ok and leaves nothing [JO-33]', async () => {
  const { stdout } = await run(process.execPath, [program, '--smoke'], {
    cwd: folder,
    env: { ...process.env, TMPDIR: folder },
  });
  expect(stdout).toMatch(/step 2\/2[^]*already finished at step 2[^]*smoke ok\n$/);
  expect(readdirSync(folder)).toEqual([]);
});

it('--pace keeps a run from being faster than asked, and changes nothing else', async () => {
  const steps = ['--steps', '20', '--save-every', '20'];
  await train('fast', ...steps);
  const began = performance.now();
  await train('paced', ...steps, '--pace', '30');
  expect(performance.now() - began).toBeGreaterThanOrEqual(590);
  expect(readFileSync(path.join(folder, 'paced/final.safetensors'))).toEqual(
    readFileSync(path.join(folder, 'fast/final.safetensors')),
  );
});

it('a wrong option is one line and a failure', async () => {
  await expect(train('w', '--steps', 'many')).rejects.toMatchObject({
    code: 1,
    stderr: 'train.mjs: --steps must be a whole number, at least 1\n',
  });
});
