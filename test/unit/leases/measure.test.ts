import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { MEASURE_SCRIPT, measuredFrom, mismatchOf } from '../../../src/leases/measure.ts';
import { isProcessAlive, processIdOf } from '../../../src/leases/process-id.ts';
import { anOffer } from '../../support/fake-provider.ts';

it('measures this machine with sh and coreutils only [MO-18]', () => {
  const text = execFileSync('sh', ['-c', `set -- /\n${MEASURE_SCRIPT}`], { encoding: 'utf8' });
  const { facts } = measuredFrom(text);
  for (const name of ['vcpu', 'ramGb', 'diskGb', 'diskFreeGb'])
    expect(facts[name], name).toBeGreaterThan(0);
});

it('takes the smallest card and the tighter of two memory limits', () => {
  const { facts, gpuCount, vramGb } = measuredFrom(
    'memKb=67108864\nmemLimitBytes=8589934592\ngpu=A, 24564\ngpu=A, 12282\ndriver=550.1\n',
  );
  expect([gpuCount, vramGb]).toEqual([2, 12]);
  expect(facts).toMatchObject({ ramGb: 8, gpu: 'A', driver: '550.1' });
  expect(measuredFrom('memKb=1048576\nmemLimitBytes=max').facts['ramGb']).toBe(1);
});

it('a nominal 24 GB card that reports 24,564 MiB is what was paid for [OF-17]', () => {
  expect(mismatchOf(anOffer(), measuredFrom('gpu=RTX 4090, 24564'))).toBeUndefined();
  expect(mismatchOf(anOffer({ vramGb: 80 }), measuredFrom('gpu=H100, 81559'))).toBeUndefined();
  expect(mismatchOf(anOffer({ vramGb: 80 }), measuredFrom('gpu=A100, 40960'))).toContain('40 GB');
});

it('whatever the pod prints, the facts are short text and finite numbers', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('gpu=', 'vcpu=', 'diskKb=', ''),
      (text, start) => {
        for (const fact of Object.values(measuredFrom(start + text).facts))
          if (typeof fact === 'number') expect(Number.isFinite(fact)).toBe(true);
          else expect(fact.length).toBeLessThan(140);
      },
    ),
  );
});

it('tells this process from one of the same number at another time [OW-07]', () => {
  const mine = processIdOf(process.pid);
  expect(isProcessAlive(mine)).toBe(true);
  expect(isProcessAlive(`${mine}1`)).toBe(false);
  expect(isProcessAlive('4194999@boot@1')).toBe(false);
  expect(isProcessAlive('nonsense')).toBe(false);
  expect(processIdOf(1)).not.toBe(processIdOf(process.pid));
});
