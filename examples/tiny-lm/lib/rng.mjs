/**
 * A small random generator (xoshiro128**) whose whole state is four 32-bit words, so that a checkpoint can hold it and a
 * resumed run draws exactly the numbers the interrupted one would have drawn.
 */
export function createRng(seed) {
  const state = new Int32Array(4);
  let mix = seed | 0;
  for (let i = 0; i < 4; i += 1) {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    state[i] = z ^ (z >>> 16);
  }
  return {
    state,
    /** Uniform in [0, 1). */
    next() {
      const s1 = state[1];
      const product = Math.imul(s1, 5);
      const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
      const shifted = s1 << 9;
      state[2] ^= state[0];
      state[3] ^= state[1];
      state[1] ^= state[2];
      state[0] ^= state[3];
      state[2] ^= shifted;
      state[3] = (state[3] << 11) | (state[3] >>> 21);
      return result / 4294967296;
    },
  };
}

/** One draw from the normal distribution with mean 0 and deviation 1. */
export function normal(rng) {
  const radius = Math.sqrt(-2 * Math.log(1 - rng.next()));
  return radius * Math.cos(2 * Math.PI * rng.next());
}
