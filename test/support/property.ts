import fc from 'fast-check';

/*
 * The same cases in every run, so that a red run is a change's own doing. `FC_SEED=random` (or a number) looks further:
 * what it finds is mended and gets a test of its own.
 */
const FIXED_SEED = 20_260_722;
const asked = process.env['FC_SEED'];
if (asked !== 'random')
  fc.configureGlobal({ seed: asked === undefined ? FIXED_SEED : Number(asked) });

export { fc };
