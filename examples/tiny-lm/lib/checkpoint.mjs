import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { shapesOf } from './model.mjs';
import { encodeSafetensors, readSafetensors, writeAtomic } from './safetensors.mjs';

const NAME = /^checkpoint-(\d+)\.safetensors$/;
const KEEP_LAST = 2;

/** Everything that the rest of the run depends on: weights, both moments of Adam, the random state, step and best loss. */
export function saveCheckpoint(folder, run, validLoss) {
  const shapes = shapesOf(run.model.sizes);
  const tensors = { ...named('', run.model.params, shapes) };
  Object.assign(tensors, named('optimizer.m.', run.moments.m, shapes));
  Object.assign(tensors, named('optimizer.v.', run.moments.v, shapes));
  tensors['rng.state'] = { shape: [4], data: run.rng.state };
  const file = path.join(folder, `checkpoint-${String(run.step).padStart(6, '0')}.safetensors`);
  const metadata = {
    step: String(run.step),
    validLoss: String(validLoss),
    config: JSON.stringify(run.config),
  };
  writeAtomic(file, encodeSafetensors(tensors, metadata));
  prune(folder);
  return file;
}

/** Weights alone, for whoever uses the model afterwards. */
export function saveWeights(file, model, metadata) {
  writeAtomic(file, encodeSafetensors(named('', model.params, shapesOf(model.sizes)), metadata));
}

/**
 * Loads the newest checkpoint that is whole into `run`; false when there is none. A checkpoint of another configuration is an
 * error: to go on with it would be a different experiment.
 */
export function resume(folder, run) {
  for (const name of names(folder).reverse()) {
    const loaded = tryRead(path.join(folder, name));
    if (!loaded) continue;
    if (loaded.metadata.config !== JSON.stringify(run.config))
      throw new Error(`${name} was made with other settings: ${loaded.metadata.config}`);
    for (const [key, values] of Object.entries(run.model.params)) {
      values.set(loaded.tensors[key].data);
      run.moments.m[key].set(loaded.tensors[`optimizer.m.${key}`].data);
      run.moments.v[key].set(loaded.tensors[`optimizer.v.${key}`].data);
    }
    run.rng.state.set(loaded.tensors['rng.state'].data);
    run.step = Number(loaded.metadata.step);
    return true;
  }
  return false;
}

/**
 * `metrics.jsonl` as it stood at `step`: later lines, and a last line cut by a crash, would otherwise appear twice after a
 * resume.
 */
export function rewindMetrics(file, step) {
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  const kept = text.split('\n').filter((line) => {
    try {
      return JSON.parse(line).step <= step;
    } catch {
      return false;
    }
  });
  writeAtomic(file, Buffer.from(kept.map((line) => `${line}\n`).join('')));
}

/** Left by a crash in the middle of a save; never complete, never needed. */
export function removeTemporary(folder) {
  for (const name of readdirSync(folder))
    if (name.endsWith('.tmp')) rmSync(path.join(folder, name), { force: true });
}

/** Keeps the last two and the best by validation loss. The best is never deleted. */
function prune(folder) {
  const all = names(folder);
  const losses = new Map();
  for (const name of all) {
    const loaded = tryRead(path.join(folder, name));
    if (loaded) losses.set(name, Number(loaded.metadata.validLoss));
  }
  const best = [...losses].sort((a, b) => a[1] - b[1])[0]?.[0];
  for (const name of all.slice(0, -KEEP_LAST))
    if (name !== best) rmSync(path.join(folder, name), { force: true });
}

function names(folder) {
  return readdirSync(folder)
    .filter((name) => NAME.test(name))
    .sort((a, b) => Number(NAME.exec(a)[1]) - Number(NAME.exec(b)[1]));
}

function tryRead(file) {
  try {
    return readSafetensors(file);
  } catch {
    return undefined;
  }
}

function named(prefix, arrays, shapes) {
  return Object.fromEntries(
    Object.entries(arrays).map(([name, data]) => [
      `${prefix}${name}`,
      { shape: shapes[name], data },
    ]),
  );
}
