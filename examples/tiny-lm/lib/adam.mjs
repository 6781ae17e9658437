const BETA1 = 0.9;
const BETA2 = 0.99;
const EPSILON = 1e-8;

/** One step of Adam, in place. `step` counts from 1. `m` and `v` are the moments, shaped like the parameters. */
export function adamStep(params, grads, moments, step, learningRate) {
  const fix1 = 1 - BETA1 ** step;
  const fix2 = 1 - BETA2 ** step;
  for (const [name, values] of Object.entries(params)) {
    const grad = grads[name];
    const m = moments.m[name];
    const v = moments.v[name];
    for (let i = 0; i < values.length; i += 1) {
      const g = grad[i];
      m[i] = BETA1 * m[i] + (1 - BETA1) * g;
      v[i] = BETA2 * v[i] + (1 - BETA2) * g * g;
      values[i] -= (learningRate * (m[i] / fix1)) / (Math.sqrt(v[i] / fix2) + EPSILON);
      grad[i] = 0;
    }
  }
}

/** Warms up over the first twentieth, then falls along a cosine to a tenth. */
export function learningRateAt(step, steps, peak) {
  const warm = Math.max(1, Math.floor(steps / 20));
  if (step <= warm) return (peak * step) / warm;
  const done = Math.min(1, (step - warm) / Math.max(1, steps - warm));
  return peak * (0.1 + 0.45 * (1 + Math.cos(Math.PI * done)));
}
