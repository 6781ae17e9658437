import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import {
  diskMismatchOf,
  gpuMismatchOf,
  MEASURE_SCRIPT,
  measuredFrom,
} from '../../../src/leases/measure.ts';
import { isProcessAlive, processIdOf } from '../../../src/leases/process-id.ts';
import { isSameCard } from '../../../src/leases/same-card.ts';
import { anOffer } from '../../support/fake-provider.ts';
import { fc } from '../../support/property.ts';

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
  const h100 = anOffer({ gpu: 'H100 SXM', vramGb: 80 });
  const a100 = anOffer({ gpu: 'A100 PCIE', vramGb: 80 });
  expect(gpuMismatchOf(anOffer(), measuredFrom('gpu=RTX 4090, 24564'))).toBeUndefined();
  expect(gpuMismatchOf(h100, measuredFrom('gpu=H100, 81559'))).toBeUndefined();
  expect(gpuMismatchOf(a100, measuredFrom('gpu=A100, 40960'))).toContain('40 GB');
});

it('another card, fewer cards and an older driver than were sold are not what was paid for [OF-17] [RE-13]', () => {
  const kind = anOffer({ gpuCount: 2, cuda: 12.4 });
  const offer = { ...kind, machineId: '77' };
  const pair = (name: string, cuda = '12.4'): string =>
    `gpu=${name}, 24564\ngpu=${name}, 24564\ncuda=${cuda}`;
  expect(gpuMismatchOf(offer, measuredFrom(pair('NVIDIA GeForce RTX 4090')))).toBeUndefined();
  expect(gpuMismatchOf(offer, measuredFrom(pair('NVIDIA GeForce RTX 3090')))).toContain('another');
  expect(gpuMismatchOf(offer, measuredFrom('gpu=RTX 4090, 24564'))).toContain('1 GPUs');
  expect(gpuMismatchOf(offer, measuredFrom(pair('RTX 4090', '12.2')))).toContain('CUDA 12.2');
  expect(gpuMismatchOf(offer, measuredFrom(pair('RTX 4090', '13.0')))).toBeUndefined();
  expect(gpuMismatchOf(offer, measuredFrom(pair('RTX 4090', 'N/A')))).toBeUndefined();
  // Of a kind of machine, as RunPod sells it, it is the newest that any of them carries.
  expect(gpuMismatchOf(kind, measuredFrom(pair('RTX 4090', '12.2')))).toBeUndefined();
});

it('a disk that is smaller, full or out of inodes is not what was asked for', () => {
  const gb = (total: number, free: number): string =>
    `diskKb=${total * 1_048_576} ${free * 1_048_576}`;
  const why = (text: string): string | undefined =>
    diskMismatchOf(anOffer(), 64, measuredFrom(text));
  expect(why(`${gb(64, 60)}\ninodes=0 0`)).toBeUndefined();
  expect(why(`${gb(20, 20)}\nrootKb=${64 * 1_048_576} 1`)).toContain('Only 20 GB');
  expect(why(gb(32, 32))).toContain('32 GB and 64 GB');
  expect(why(gb(64, 10))).toContain('10 GB of the disk are free');
  expect(why(`${gb(64, 60)}\ninodes=100000 12`)).toContain('12 more files');
  expect(diskMismatchOf(anOffer({ rehearsal: true }), 64, measuredFrom(gb(1, 0)))).toBeUndefined();
});

it.each([
  ['RTX 4090', 'NVIDIA GeForce RTX 4090'],
  ['H100 SXM', 'NVIDIA H100 80GB HBM3'],
  ['H100 NVL', 'NVIDIA H100 NVL'],
  ['A100 SXM4', 'NVIDIA A100-SXM4-80GB'],
  ['A100 PCIE', 'NVIDIA A100 80GB PCIe'],
  ['RTX 6000Ada', 'NVIDIA RTX 6000 Ada Generation'],
  ['RTX 4080S', 'NVIDIA GeForce RTX 4080 SUPER'],
  ['RTX 4070S Ti', 'NVIDIA GeForce RTX 4070 Ti SUPER'],
  ['GTX 1660 S', 'NVIDIA GeForce GTX 1660 SUPER'],
  ['RTX PRO 6000 WS', 'NVIDIA RTX PRO 6000 Blackwell Workstation Edition'],
  ['Q RTX 8000', 'Quadro RTX 8000'],
  ['Tesla V100', 'Tesla V100-SXM2-16GB'],
  ['RTX A6000', 'NVIDIA RTX A6000'],
  ['RTX 4090D', 'NVIDIA GeForce RTX 4090 D'],
  ['L4', 'NVIDIA L4'],
  ['L40S', 'NVIDIA L40S'],
  ['GH200 SXM', 'NVIDIA GH200 480GB'],
])('%s is what the driver calls %s [OF-17]', (sold, measured) => {
  expect(isSameCard(sold, measured)).toBe(true);
});

it.each([
  ['RTX 4090', 'NVIDIA GeForce RTX 3090'],
  ['RTX 3090 Ti', 'NVIDIA GeForce RTX 3090'],
  ['RTX 4080S', 'NVIDIA GeForce RTX 4080'],
  ['RTX 4090', 'NVIDIA GeForce RTX 4090 D'],
  ['H100 SXM', 'NVIDIA H100 PCIe'],
  ['H100 PCIE', 'NVIDIA H100 80GB HBM3'],
  ['H100 NVL', 'NVIDIA H100 80GB HBM3'],
  ['A100 PCIE', 'NVIDIA A100-SXM4-80GB'],
  ['RTX A6000', 'NVIDIA RTX 6000 Ada Generation'],
  ['L40S', 'NVIDIA L40'],
  ['A100', 'NVIDIA A10'],
])('%s is not what the driver calls %s [OF-17]', (sold, measured) => {
  expect(isSameCard(sold, measured)).toBe(false);
});

it('names without a number tell nothing, whatever they are', () => {
  expect(isSameCard('TITAN V', 'NVIDIA TITAN Xp')).toBeUndefined();
  fc.assert(
    fc.property(fc.string(), fc.string(), (one, other) => {
      expect([true, undefined]).toContain(isSameCard(one, one));
      expect(isSameCard(one, other)).toBe(isSameCard(one.toUpperCase(), other.toLowerCase()));
    }),
  );
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
