import { normal } from './rng.mjs';

/**
 * The next character from the `context` characters before it: embeddings, one tanh layer, softmax. Small enough to read,
 * and every gradient is written by hand.
 *
 *   x = [embed[c1] … embed[cT]]      h = tanh(x W1 + b1)      p = softmax(h W2 + b2)
 *
 * `Float` is the array type of the parameters: Float32Array for training, Float64Array to check gradients.
 */
export function createModel(sizes, rng, Float = Float32Array) {
  const { vocab, context, embed, hidden } = sizes;
  const wide = context * embed;
  const random = (count, deviation) => Float.from({ length: count }, () => normal(rng) * deviation);
  return {
    sizes,
    params: {
      embed: random(vocab * embed, 0.3),
      w1: random(wide * hidden, 1 / Math.sqrt(wide)),
      b1: new Float(hidden),
      w2: random(hidden * vocab, 1 / Math.sqrt(hidden)),
      b2: new Float(vocab),
    },
  };
}

/** Shapes of the parameters, as written into checkpoints. */
export function shapesOf({ vocab, context, embed, hidden }) {
  return {
    embed: [vocab, embed],
    w1: [context * embed, hidden],
    b1: [hidden],
    w2: [hidden, vocab],
    b2: [vocab],
  };
}

/** Zeroed arrays like the parameters: for gradients and for the optimizer. */
export function zerosLike(params) {
  return Object.fromEntries(
    Object.entries(params).map(([name, values]) => [name, new values.constructor(values.length)]),
  );
}

/** Fills `x`, `h` and `p` for the characters `text[at … at + context)`. */
export function forward(model, text, at, buffers) {
  const { vocab, context, embed, hidden } = model.sizes;
  const { params } = model;
  const { x, h, p } = buffers;
  h.set(params.b1);
  for (let t = 0; t < context; t += 1) {
    const from = text[at + t] * embed;
    for (let e = 0; e < embed; e += 1) {
      const i = t * embed + e;
      const value = params.embed[from + e];
      x[i] = value;
      const row = i * hidden;
      for (let j = 0; j < hidden; j += 1) h[j] += value * params.w1[row + j];
    }
  }
  p.set(params.b2);
  for (let j = 0; j < hidden; j += 1) {
    const value = Math.tanh(h[j]);
    h[j] = value;
    const row = j * vocab;
    for (let v = 0; v < vocab; v += 1) p[v] += value * params.w2[row + v];
  }
  let top = -Infinity;
  for (let v = 0; v < vocab; v += 1) if (p[v] > top) top = p[v];
  let total = 0;
  for (let v = 0; v < vocab; v += 1) {
    p[v] = Math.exp(p[v] - top);
    total += p[v];
  }
  for (let v = 0; v < vocab; v += 1) p[v] /= total;
}

/** Working memory for one example. */
export function createBuffers({ vocab, context, embed, hidden }, Float = Float32Array) {
  return {
    x: new Float(context * embed),
    h: new Float(hidden),
    p: new Float(vocab),
    dh: new Float(hidden),
  };
}

/** Mean loss in nats over the examples that start at `starts`; adds the gradient of that mean to `grads`. */
export function lossAndGradient(model, text, starts, grads, buffers) {
  const { vocab, context, embed, hidden } = model.sizes;
  const { params } = model;
  const { x, h, p, dh } = buffers;
  const scale = 1 / starts.length;
  let loss = 0;
  for (const at of starts) {
    forward(model, text, at, buffers);
    const target = text[at + context];
    loss -= Math.log(Math.max(p[target], 1e-30)) * scale;
    // From here on `p` holds the gradient of the loss by the logits.
    p[target] -= 1;
    for (let v = 0; v < vocab; v += 1) {
      p[v] *= scale;
      grads.b2[v] += p[v];
    }
    for (let j = 0; j < hidden; j += 1) {
      const row = j * vocab;
      const value = h[j];
      let back = 0;
      for (let v = 0; v < vocab; v += 1) {
        back += p[v] * params.w2[row + v];
        grads.w2[row + v] += value * p[v];
      }
      dh[j] = back * (1 - value * value);
      grads.b1[j] += dh[j];
    }
    for (let t = 0; t < context; t += 1) {
      const to = text[at + t] * embed;
      for (let e = 0; e < embed; e += 1) {
        const i = t * embed + e;
        const row = i * hidden;
        const value = x[i];
        let back = 0;
        for (let j = 0; j < hidden; j += 1) {
          back += dh[j] * params.w1[row + j];
          grads.w1[row + j] += value * dh[j];
        }
        grads.embed[to + e] += back;
      }
    }
  }
  return loss;
}

/** Mean loss in nats over at most `limit` examples, evenly spread over the text. */
export function evaluate(model, text, limit, buffers) {
  const { context } = model.sizes;
  const last = text.length - context - 1;
  const count = Math.min(limit, last + 1);
  let loss = 0;
  for (let n = 0; n < count; n += 1) {
    const at = Math.floor((n * last) / Math.max(1, count - 1));
    forward(model, text, at, buffers);
    loss -= Math.log(Math.max(buffers.p[text[at + context]], 1e-30)) / count;
  }
  return loss;
}

/** Writes `length` characters after `prompt` (codes). `rng` is the caller's own, so that training draws stay untouched. */
export function sample(model, prompt, length, temperature, rng) {
  const { vocab, context } = model.sizes;
  const buffers = createBuffers(model.sizes);
  const text = Array.from({ length: context }, (_, i) => prompt.at(i - context) ?? prompt[0] ?? 0);
  for (let n = 0; n < length; n += 1) {
    forward(model, text, text.length - context, buffers);
    const weights = buffers.p.map((chance) => chance ** (1 / temperature));
    let left = rng.next() * weights.reduce((sum, weight) => sum + weight, 0);
    let chosen = 0;
    while (chosen < vocab - 1 && left > weights[chosen]) {
      left -= weights[chosen];
      chosen += 1;
    }
    text.push(chosen);
  }
  return text.slice(context);
}
