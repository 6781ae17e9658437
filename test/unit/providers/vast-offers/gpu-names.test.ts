import { describe, expect, it } from 'vitest';
import { isGpuMatch } from '../../../../src/leases/gpu-name.ts';
import { vastGpuName, vastGpuNames } from '../../../../src/providers/vast/offers/gpu-names.ts';

const ALL = vastGpuNames([
  ...[
    '1050',
    '1060',
    '1070',
    '1080',
    '1650',
    '1660',
    '2060',
    '2070',
    '2080',
    '3050',
    '3060',
    '3070',
  ],
  ...[
    '3080',
    '3090',
    '4000',
    '4060',
    '4070',
    '4080',
    '4090',
    '4500',
    '5000',
    '5060',
    '5070',
    '5080',
  ],
  ...[
    '5090',
    '5880',
    '6000',
    '8000',
    'A2',
    'A10',
    'A10G',
    'A16',
    'A30',
    'A40',
    'A100',
    'A100X',
    'A800',
  ],
  ...[
    'A2000',
    'A4000',
    'A4500',
    'A5000',
    'A5500',
    'A6000',
    'L4',
    'L40',
    'L40S',
    'H20',
    'H100',
    'H200',
  ],
  ...[
    'H800',
    'B200',
    'B300',
    'GB200',
    'GH200',
    'T4',
    'V100',
    'P4',
    'P40',
    'P100',
    'K80',
    'M40',
    'MI300X',
  ],
]);

describe('names of GPUs', () => {
  it.each([
    ['RTX 4090', ['RTX 4090D', 'RTX 4090']],
    ['4090', ['RTX 4090D', 'RTX 4090']],
    ['NVIDIA GeForce RTX 4090', ['RTX 4090D', 'RTX 4090']],
    ['RTX_4080_SUPER', ['RTX 4080S', 'RTX 4080']],
    [
      'rtx6000ada',
      ['Q RTX 6000', 'RTX 6000Ada', 'RTX PRO 6000 S', 'RTX PRO 6000 WS', 'RTX PRO 6000'],
    ],
    ['a100 80', ['A100 PCIE', 'A100 SXM4']],
    ['NVIDIA A100-SXM4-80GB', ['A100 PCIE', 'A100 SXM4']],
    ['H100 SXM', ['H100 NVL', 'H100 PCIE', 'H100 SXM']],
    ['h100', ['H100 NVL', 'H100 PCIE', 'H100 SXM']],
    ['L40S', ['L40S']],
    ['T4', ['Tesla T4']],
    ['Instinct MI300X', ['InstinctMI300X', 'MI300X']],
  ])('%s may be %j at Vast.ai [OF-07]', (wish, names) => {
    expect([...(vastGpuNames([wish]) ?? [])].sort()).toEqual([...names].sort());
  });

  it.each([[[]], [['Voodoo 9']], [['RTX 4090', 'Voodoo 9']], [['RTX']], [['']], [['80GB']]])(
    '%j names no GPU for sure',
    (wishes) => {
      expect(vastGpuNames(wishes)).toBeUndefined();
    },
  );

  it('asks for at least every card that the market core would take for the wish', () => {
    expect(ALL?.length).toBeGreaterThan(80);
    const wishes = (ALL ?? []).flatMap((name) => [
      name,
      vastGpuName(name),
      `NVIDIA ${name}`,
      name.toLowerCase().replaceAll(' ', '_'),
    ]);
    let matches = 0;
    for (const wish of wishes) {
      const asked = vastGpuNames([wish]);
      for (const name of ALL ?? [])
        if (isGpuMatch(wish, vastGpuName(name))) {
          matches += 1;
          expect(asked ?? [name], `${wish} fits ${name}`).toContain(name);
        }
    }
    expect(matches).toBeGreaterThan(wishes.length / 2);
  });

  it('shows what it does not know as it comes', () => {
    expect(vastGpuName('RTX 9090 Ti')).toBe('RTX 9090 Ti');
  });
});
