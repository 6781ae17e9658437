#!/usr/bin/env node
// Trains a small character model. Usage: node train.mjs --steps 600 --out runs/a   (--help for the rest)
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { adamStep, learningRateAt } from './lib/adam.mjs';
import {
  removeTemporary,
  resume,
  rewindMetrics,
  saveCheckpoint,
  saveWeights,
} from './lib/checkpoint.mjs';
import {
  createBuffers,
  createModel,
  evaluate,
  lossAndGradient,
  sample,
  zerosLike,
} from './lib/model.mjs';
import { createRng } from './lib/rng.mjs';
import { writeAtomic } from './lib/safetensors.mjs';
import { loadText, unigramEntropy } from './lib/text.mjs';

const HELP = `node train.mjs [options]
  --steps N        optimizer steps in all (600)
  --out FOLDER     where results go; an interrupted run there is resumed (runs/default)
  --data FOLDER    folder of .txt files (data beside this script)
  --batch N        examples per step (48)
  --seed N         seed of everything random (1)
  --lr X           peak learning rate (0.006)
  --save-every N   steps between checkpoints (100)
  --log-every N    steps between printed lines (25)
  --pace MS        at least this long for each step, to leave time for watching it (0)
  --smoke          two steps in a temporary folder that is removed again, then exit
`;

const { values: args } = parseArgs({
  options: {
    steps: { type: 'string', default: '600' },
    out: { type: 'string', default: 'runs/default' },
    data: { type: 'string', default: path.join(import.meta.dirname, 'data') },
    batch: { type: 'string', default: '48' },
    seed: { type: 'string', default: '1' },
    lr: { type: 'string', default: '0.006' },
    'save-every': { type: 'string', default: '100' },
    'log-every': { type: 'string', default: '25' },
    pace: { type: 'string', default: '0' },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (args.help) process.stdout.write(HELP);
else
  process.exitCode = await (args.smoke ? smoke() : main()).catch((error) => {
    process.stderr.write(`train.mjs: ${error.message}\n`);
    return 1;
  });

async function main() {
  return train(settings());
}

/** Two steps, a save and a load: proves code, data and disk before the real run. */
async function smoke() {
  const out = mkdtempSync(path.join(os.tmpdir(), 'tiny-lm-'));
  try {
    const tiny = { ...settings(), out, steps: 2, batch: 4, saveEvery: 1, logEvery: 1 };
    // The second start loads what the first one saved.
    const code = (await train(tiny)) || (await train(tiny));
    if (code === 0) print('smoke ok');
    return code;
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** 0: finished. 143: told to stop, and the state is saved; the same command goes on from there. */
async function train({ out, data, steps, batch, seed, lr, saveEvery, logEvery, pace }) {
  mkdirSync(out, { recursive: true });
  removeTemporary(out);
  const { vocabulary, codeOf, train: text, valid } = loadText(data);
  const sizes = { vocab: vocabulary.length, context: 12, embed: 12, hidden: 96 };
  const rng = createRng(seed);
  const model = createModel(sizes, rng);
  const moments = { m: zerosLike(model.params), v: zerosLike(model.params) };
  const config = { ...sizes, steps, batch, seed, lr, characters: text.length };
  const run = { model, moments, rng, config, step: 0 };
  const summaryFile = path.join(out, 'summary.json');
  const metricsFile = path.join(out, 'metrics.jsonl');
  const finalFile = path.join(out, 'final.safetensors');
  const resumed = resume(out, run);
  rewindMetrics(metricsFile, run.step);
  if (run.step >= steps && existsSync(summaryFile) && existsSync(finalFile)) {
    print(`already finished at step ${run.step}: ${readFileSync(summaryFile, 'utf8').trim()}`);
    return 0;
  }
  const entropy = unigramEntropy(text, sizes.vocab);
  print(
    `${text.length} characters, ${sizes.vocab} different, unigram entropy ${entropy.toFixed(3)} nats`,
  );
  print(resumed ? `resumed at step ${run.step}` : 'starting at step 0');

  let stopping = false;
  const stop = () => {
    stopping = true;
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  const buffers = createBuffers(sizes);
  const grads = zerosLike(model.params);
  const starts = new Uint32Array(batch);
  const firstStep = run.step;
  const startedAt = performance.now();
  let validLoss = Number.NaN;

  while (run.step < steps && !stopping) {
    for (let i = 0; i < batch; i += 1)
      starts[i] = Math.floor(rng.next() * (text.length - sizes.context));
    const loss = lossAndGradient(model, text, starts, grads, buffers);
    if (!Number.isFinite(loss)) throw new Error(`loss is ${loss} at step ${run.step + 1}`);
    run.step += 1;
    adamStep(model.params, grads, moments, run.step, learningRateAt(run.step, steps, lr));
    // Gives signals a chance: between two steps, never inside one.
    await (pace > 0
      ? sleep(startedAt + (run.step - firstStep) * pace - performance.now())
      : breathe());

    const saving = run.step % saveEvery === 0 || run.step === steps || stopping;
    if (saving) validLoss = evaluate(model, valid, 1500, buffers);
    if (saving || run.step % logEvery === 0) {
      const seconds = (performance.now() - startedAt) / 1000;
      const rate = ((run.step - firstStep) * batch) / seconds;
      const eta = ((steps - run.step) * batch) / rate;
      const line = {
        step: run.step,
        loss: round(loss),
        ...(saving && { validLoss: round(validLoss) }),
      };
      appendFileSync(metricsFile, `${JSON.stringify(line)}\n`);
      const tail = saving ? ` valid ${validLoss.toFixed(3)}` : '';
      print(
        `step ${run.step}/${steps} loss ${loss.toFixed(3)}${tail} tok/s ${Math.round(rate)} eta ${Math.ceil(eta)}s`,
      );
    }
    if (saving) print(`saved ${path.basename(saveCheckpoint(out, run, validLoss))}`);
  }

  process.removeListener('SIGTERM', stop);
  process.removeListener('SIGINT', stop);
  if (run.step < steps) {
    print(`stopped at step ${run.step}; the same command goes on from here`);
    return 143;
  }
  finish({ run, entropy, vocabulary, codeOf, valid, buffers, seed, out, summaryFile, finalFile });
  return 0;
}

function finish({ run, entropy, vocabulary, codeOf, valid, buffers, seed, out, ...files }) {
  const validLoss = evaluate(run.model, valid, 1500, buffers);
  saveWeights(files.finalFile, run.model, {
    step: String(run.step),
    vocabulary: JSON.stringify(vocabulary),
  });
  // A generator of its own: the sample is the same whether the run was interrupted or not.
  const prompt = [...'\nThe '].map((character) => codeOf.get(character) ?? 0);
  const codes = sample(run.model, prompt, 400, 0.6, createRng(seed + 1));
  const sampled = codes.map((code) => vocabulary[code]).join('');
  writeAtomic(path.join(out, 'sample.txt'), Buffer.from(`The ${sampled}\n`));
  const summary = {
    steps: run.step,
    seed,
    validLoss: round(validLoss),
    unigramEntropy: round(entropy),
    beatsUnigram: validLoss < entropy,
  };
  writeAtomic(files.summaryFile, Buffer.from(`${JSON.stringify(summary)}\n`));
  print(`done: valid ${validLoss.toFixed(3)} nats, unigram ${entropy.toFixed(3)} nats`);
}

function settings() {
  const count = (name, least = 1) => {
    const value = Number(args[name]);
    if (!Number.isInteger(value) || value < least)
      throw new Error(`--${name} must be a whole number, at least ${least}`);
    return value;
  };
  const lr = Number(args.lr);
  if (!(lr > 0)) throw new Error('--lr must be above 0');
  return {
    out: args.out,
    data: args.data,
    steps: count('steps'),
    batch: count('batch'),
    seed: count('seed'),
    lr,
    saveEvery: count('save-every'),
    logEvery: count('log-every'),
    pace: count('pace', 0),
  };
}

function round(value) {
  return Math.round(value * 1e6) / 1e6;
}
function print(line) {
  process.stdout.write(`${line}\n`);
}
