import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fault } from '../support/fault-proxy.ts';
import { openTransport, type TransportBench } from '../support/transport-bench.ts';
import {
  execWork,
  fetchWork,
  jobWork,
  type Struck,
  sessionReadWork,
  sessionWork,
  strikeAtBytes,
  syncWork,
  type Work,
} from '../support/transport-works.ts';

/** `npm run bench -- faults` strikes at many more bytes of each. */
const STRIKES = 8;
/** Where a byte falls depends on how the work went; as many as this must have met it. */
const LEAST_MET = 2;
const SEED = 20_261_122;
const FAULTS: readonly Fault[] = [{ kind: 'reset' }, { kind: 'end' }];

describe('a link that is cut at any byte', () => {
  let bench: TransportBench;
  beforeAll(async () => {
    bench = await openTransport();
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  it.each<{ name: string; promise: string; open: () => Work | Promise<Work> }>([
    {
      name: 'exec',
      promise: 'runs a command once at most, and an exit code comes with all of the output',
      open: () => execWork(bench),
    },
    {
      name: 'session_write',
      promise: 'types each command once, and tells its exit code and output [SE-13, SE-22]',
      open: async () => sessionWork(bench),
    },
    {
      name: 'session_read',
      promise: 'shows every byte of a transcript once [SE-07]',
      open: async () => sessionReadWork(bench),
    },
    {
      name: 'job',
      promise: 'starts a job once, with its true exit code and its whole log [JO-06, JO-15]',
      open: () => jobWork(bench),
    },
    {
      name: 'sync',
      promise: 'leaves each file on the pod old or new, and the next try brings all [SY-12]',
      open: () => syncWork(bench),
    },
    {
      name: 'fetch',
      promise: 'shows no half file at home, and the next try brings all [AR-06, AR-07]',
      open: () => fetchWork(bench),
    },
  ])(
    '$name: $promise',
    async ({ open }) => {
      const work = await open();
      const struck = await strikeAtBytes(bench, work, {
        count: STRIKES,
        seed: SEED,
        faults: FAULTS,
      });
      for (const one of struck) expect(one.failure, told(one)).toBeUndefined();
      expect(struck.filter(({ lost, doubled }) => lost + doubled > 0).map(told)).toEqual([]);
      expect(await work.finish()).toMatchObject({ lost: 0, doubled: 0 });
      // The strikes were real: they met the work, and what they met was noticed or mended.
      expect(struck.filter((one) => one.struck).length).toBeGreaterThanOrEqual(LEAST_MET);
    },
    300_000,
  );
});

function told({ work, strike, struck, codes, seconds, failure }: Struck): string {
  const { byte, direction, fault } = strike;
  const why = failure instanceof Error ? failure.message : '';
  return `${work}: ${fault.kind} ${direction} at ${byte}, ${struck ? 'struck' : 'missed'}, ${seconds.toFixed(1)} s, ${codes.join(' ')} ${why}`;
}
