import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isSameCard } from '../../../src/leases/same-card.ts';
import { driverName } from '../../../src/sandbox/driver-name.ts';
import type { MachineGpu } from '../../../src/sandbox/machines.ts';
import { nvidiaSmiScript } from '../../../src/sandbox/nvidia-smi.ts';
import { GPU_MODELS } from '../../../src/sandbox/vast/gpu-models.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-smi-'));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

const A100: MachineGpu = {
  name: 'A100 SXM4',
  count: 3,
  vramMib: 81_920,
  driver: '550.54.15',
  cuda: '12.4',
};
async function smi(args: readonly string[], changes: Partial<MachineGpu> = {}) {
  const file = path.join(folder, 'nvidia-smi');
  await writeFile(file, nvidiaSmiScript({ ...A100, ...changes }), { mode: 0o700 });
  return new Promise<{ code: number; out: string }>((resolve) => {
    // Nothing on PATH but what a pod surely has, to show that it needs no more.
    execFile('/bin/sh', [file, ...args], { env: { PATH: '/usr/bin:/bin' } }, (failure, out) => {
      resolve({ code: failure === null ? 0 : Number(failure.code), out: out.trimEnd() });
    });
  });
}

describe('the nvidia-smi of a machine that has no GPU', () => {
  it('answers queries in every csv form, for all GPUs or some', async () => {
    const query = '--query-gpu=index,memory.total,ecc.errors.uncorrected.volatile.total';
    expect((await smi([query, '--format=csv,noheader,nounits', '-i', '0,2'])).out).toBe(
      '0, 81920, 0\n2, 81920, 0',
    );
    expect((await smi([query, '--format=csv', '--id=1'])).out).toBe(
      'index, memory.total [MiB], ecc.errors.uncorrected.volatile.total\n1, 81920 MiB, 0',
    );
    expect((await smi(['--query-compute-apps=pid,name', '--format=csv,noheader'])).out).toBe('');
  });

  it('refuses what the real one refuses, with its words and exit codes', async () => {
    const unknown = await smi(['--query-gpu=index,nonsense', '--format=csv']);
    expect(unknown).toEqual({ code: 2, out: 'Field "nonsense" is not a valid field to query.' });
    expect((await smi(['--query-gpu=index'])).out).toContain('"--format=" switch is missing');
    expect((await smi(['--nonsense'])).code).toBe(1);
    expect(await smi([], { count: 0 })).toEqual({ code: 6, out: 'No devices were found' });
  });

  it('has a table that programs read', async () => {
    const { out } = await smi([]);
    expect(out).toMatch(/Driver Version: 550\.54\.15 +CUDA Version: 12\.4/);
    expect(out.match(/NVIDIA A100-SXM4-80GB/g)).toHaveLength(3);
    expect(out).toContain('3MiB /  81920MiB');
    expect(
      new Set(
        out
          .split('\n')
          .filter((line) => /^[|+]/.test(line))
          .map(({ length }) => length),
      ),
    ).toEqual(new Set([91]));
  });

  it('gives each GPU and each machine a number of its own', async () => {
    const numbers = async () =>
      [...(await smi(['-L'])).out.matchAll(/UUID: (GPU-[0-9a-f-]{36})\)/g)].map(([, id]) => id);
    const [one, other] = [await numbers(), await numbers()];
    expect(new Set([...one, ...other]).size).toBe(6);
  });

  it('a name is only a name', async () => {
    const name = `X'; echo broken; $(touch ${folder}/hit) \u001b[31m`;
    const { out } = await smi(['--query-gpu=name', '--format=csv,noheader', '-i', '0'], { name });
    expect(out).toBe(`NVIDIA X'; echo broken; $(touch ${folder}/hit) [31m`);
  });
});

describe('how a driver calls a card', () => {
  it.each([
    ['RTX 4090', 24_564, 'NVIDIA GeForce RTX 4090'],
    ['GTX 1080 Ti', 11_264, 'NVIDIA GeForce GTX 1080 Ti'],
    ['RTX 4070S Ti', 16_376, 'NVIDIA GeForce RTX 4070 Ti SUPER'],
    ['RTX A6000', 49_140, 'NVIDIA RTX A6000'],
    ['RTX 6000Ada', 49_140, 'NVIDIA RTX 6000 Ada Generation'],
    ['A100 PCIE', 40_960, 'NVIDIA A100-PCIE-40GB'],
    ['A100 PCIE', 81_920, 'NVIDIA A100 80GB PCIe'],
    ['H100 SXM', 81_559, 'NVIDIA H100 80GB HBM3'],
    ['H100 PCIE', 81_559, 'NVIDIA H100 PCIe'],
    ['H100 NVL', 95_830, 'NVIDIA H100 NVL'],
    ['Tesla T4', 15_360, 'Tesla T4'],
    ['Tesla V100', 32_768, 'Tesla V100-SXM2-32GB'],
    ['Q RTX 8000', 46_080, 'Quadro RTX 8000'],
    ['GeForce RTX 3060', 12_288, 'NVIDIA GeForce RTX 3060'],
    ['L40S', 46_068, 'NVIDIA L40S'],
  ])('%s with %i MiB: %s', (name, vramMib, expected) => {
    expect(driverName(name, vramMib)).toBe(expected);
  });

  it('every card of the market is known again by our own measurement, and no other number is', () => {
    const numberOf = (name: string): string => /[A-Z]{0,2}\d{2,4}/.exec(name)?.[0] ?? name;
    for (const sold of GPU_MODELS) {
      expect(isSameCard(sold.name, driverName(sold.name, sold.vramMb)), sold.name).toBe(true);
      for (const other of GPU_MODELS)
        if (numberOf(other.name) !== numberOf(sold.name))
          expect(
            isSameCard(sold.name, driverName(other.name, other.vramMb)),
            `${sold.name} is not ${other.name}`,
          ).toBe(false);
    }
  });
});
