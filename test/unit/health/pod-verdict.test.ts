import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { type Gpu, type PodFacts, podFactsFrom } from '../../../src/health/pod-probe.ts';
import { judge } from '../../../src/health/pod-verdict.ts';

const NOW = 1_800_000_000;
const card: Gpu = {
  index: 0,
  name: 'RTX 4090',
  temperatureC: 60,
  clockMhz: 2500,
  maxClockMhz: 3000,
  utilizationPercent: 90,
  memoryUsedMib: 20_000,
  memoryTotalMib: 24_564,
  throttleMask: 0,
  eccUncorrected: 0,
};
const good: PodFacts = {
  now: NOW,
  gpuTool: 'yes',
  kernelLog: 'readable',
  diskTotalKb: 1000,
  diskFreeKb: 500,
  inodesTotal: 1000,
  inodesFree: 500,
  shmTotalKb: 16_000_000,
  memoryLimitBytes: 1000,
  memoryUsedBytes: 500,
  oomKills: 0,
  gpus: [card],
};
const withCard = (extra: Partial<Gpu>): PodFacts => ({ ...good, gpus: [{ ...card, ...extra }] });

describe('the verdict on a pod [HE-05]', () => {
  it.each<[string, PodFacts, string, string | undefined]>([
    ['all is well', good, 'ok', undefined],
    ['no GPU at all', { ...good, gpuTool: 'no', gpus: [] }, 'ok', undefined],
    ['hot [HE-01]', withCard({ temperatureC: 83 }), 'warn', 'HE-01'],
    ['hot and slow [HE-02]', withCard({ temperatureC: 90, clockMhz: 2000 }), 'rerent', 'HE-02'],
    ['cool and slow is idle [HE-02]', withCard({ clockMhz: 200 }), 'ok', undefined],
    ['a deadly Xid [HE-03]', { ...good, xids: '13 79' }, 'rerent', 'HE-03-dead'],
    ['another Xid [HE-03]', { ...good, xids: '13 31' }, 'warn', 'HE-03'],
    ['no kernel log [HE-03]', { ...good, kernelLog: 'unreadable' }, 'warn', 'HE-03-log'],
    ['throttled [HE-04]', withCard({ throttleMask: 0x40 }), 'rerent', 'HE-04'],
    ['power cap is no fault [HE-04]', withCard({ throttleMask: 0x4 | 0x1 }), 'ok', undefined],
    ['a broken driver', { ...good, gpuTool: 'broken', gpus: [] }, 'rerent', 'HE-05-driver'],
    ['memory near its limit [HE-07]', { ...good, memoryUsedBytes: 900 }, 'warn', 'HE-07-memory'],
    [
      'page cache is not use [HE-07]',
      { ...good, memoryUsedBytes: 950, memoryCacheBytes: 600 },
      'ok',
      undefined,
    ],
    ['processes killed for memory [HE-07]', { ...good, oomKills: 1 }, 'warn', 'HE-07-oom'],
    ['a full disk [HE-08]', { ...good, diskFreeKb: 50 }, 'warn', 'HE-08-disk'],
    [
      'a full disk under the work folder [HE-08]',
      { ...good, workDiskTotalKb: 32_768, workDiskFreeKb: 0 },
      'warn',
      'HE-08-work',
    ],
    ['no inodes [HE-08]', { ...good, inodesFree: 10 }, 'warn', 'HE-08-inodes'],
    ['inodes made as needed [HE-08]', { ...good, inodesTotal: 0, inodesFree: 0 }, 'ok', undefined],
    ['little shared memory [HE-09]', { ...good, shmTotalKb: 65_536 }, 'warn', 'HE-09'],
    ['broken GPU memory', withCard({ eccUncorrected: 2 }), 'rerent', 'HE-10-ecc'],
    ['a wrong clock [HE-13]', { ...good, now: NOW - 120 }, 'warn', 'HE-13'],
    [
      'taken VRAM [HE-14]',
      withCard({ utilizationPercent: 0, memoryUsedMib: 600 }),
      'warn',
      'HE-14',
    ],
  ])('%s', (_what, facts, verdict, code) => {
    const judged = judge(facts, NOW);
    expect(judged.verdict).toBe(verdict);
    expect(judged.findings.map((finding) => finding.code)).toEqual(
      code === undefined ? [] : [code],
    );
  });

  it('only climbs', () => {
    const facts: PodFacts = { ...withCard({ throttleMask: 0x80 }), oomKills: 1 };
    expect(judge(facts, NOW)).toMatchObject({ verdict: 'rerent' });
    expect(judge(facts, NOW).findings).toHaveLength(2);
  });
});

describe('the answer of the probe [WA-04]', () => {
  it('is read, whatever the driver does not know', () => {
    const facts = podFactsFrom(
      Buffer.from(
        'Welcome!\ngpu-lease-health\nnow 5\ndiskFreeKb 7\ngpuTool yes\n' +
          'gpu 0, NVIDIA A100, 41, 1410, 1410, 0, 3, 81920, 0x0000000000000001, [N/A]\n' +
          'gpu junk\n',
      ),
    );
    expect(facts).toMatchObject({ now: 5, diskFreeKb: 7 });
    expect(facts.gpus).toEqual([
      {
        index: 0,
        name: 'NVIDIA A100',
        temperatureC: 41,
        clockMhz: 1410,
        maxClockMhz: 1410,
        utilizationPercent: 0,
        memoryUsedMib: 3,
        memoryTotalMib: 81_920,
        throttleMask: 1,
      },
    ]);
  });

  it('that says nothing is refused', () => {
    expect(() => podFactsFrom(Buffer.from('now 5\ngpuTool no\n'))).toThrow('how it is');
    expect(() => podFactsFrom(Buffer.from('gpu-lease-health\n'))).toThrow('how it is');
  });
});
