import { fits, type GpuName, gpuNameOf } from './gpu-name.ts';

/** A GPU that clouds rent out. Names are ours; sizes and capability are the maker's. */
interface CatalogGpu {
  readonly name: string;
  readonly vramGb: number;
  /** CUDA compute capability; absent: not a CUDA device. */
  readonly capability?: number | undefined;
}

/** name: sizes in GB: compute capability. */
const DATA = `
Tesla P4:8:6.1 Tesla P40:24:6.1 Tesla P100:12,16:6.0 Tesla V100:16,32:7.0 Tesla T4:16:7.5
GTX 1070:8:6.1 GTX 1070 Ti:8:6.1 GTX 1080:8:6.1 GTX 1080 Ti:11:6.1 Titan Xp:12:6.1 Titan V:12:7.0 Titan RTX:24:7.5
GTX 1660:6:7.5 GTX 1660 Super:6:7.5 GTX 1660 Ti:6:7.5 RTX 2060:6,12:7.5 RTX 2070:8:7.5 RTX 2070 Super:8:7.5
RTX 2080:8:7.5 RTX 2080 Super:8:7.5 RTX 2080 Ti:11,22:7.5 Quadro RTX 4000:8:7.5 Quadro RTX 5000:16:7.5
Quadro RTX 6000:24:7.5 Quadro RTX 8000:48:7.5
RTX 3050:8:8.6 RTX 3060:12:8.6 RTX 3060 Ti:8:8.6 RTX 3070:8:8.6 RTX 3070 Ti:8:8.6 RTX 3080:10,12:8.6 RTX 3080 Ti:12:8.6
RTX 3090:24:8.6 RTX 3090 Ti:24:8.6 RTX A2000:6,12:8.6 RTX A4000:16:8.6 RTX A4500:20:8.6 RTX A5000:24:8.6
RTX A5500:24:8.6 RTX A6000:48:8.6
A2:16:8.6 A10:24:8.6 A10G:24:8.6 A16:16:8.6 A30:24:8.0 A40:48:8.6 A100 PCIE:40,80:8.0 A100 SXM4:40,80:8.0 A100X:80:8.0
RTX 4060:8:8.9 RTX 4060 Ti:8,16:8.9 RTX 4070:12:8.9 RTX 4070 Super:12:8.9 RTX 4070 Ti:12:8.9 RTX 4070 Ti Super:16:8.9
RTX 4080:16:8.9 RTX 4080 Super:16:8.9 RTX 4090:24:8.9 RTX 4090 D:24:8.9 RTX 4000 Ada:20:8.9 RTX 4500 Ada:24:8.9
RTX 5000 Ada:32:8.9 RTX 5880 Ada:48:8.9 RTX 6000 Ada:48:8.9 L4:24:8.9 L40:48:8.9 L40S:48:8.9
H100 PCIE:80:9.0 H100 SXM:80:9.0 H100 NVL:94:9.0 H200 SXM:141:9.0 H200 NVL:141:9.0 GH200:96,144:9.0
B200:180:10.0 B300:288:10.3 GB200:186:10.0
RTX 5060:8:12.0 RTX 5060 Ti:8,16:12.0 RTX 5070:12:12.0 RTX 5070 Ti:16:12.0 RTX 5080:16:12.0 RTX 5090:32:12.0
RTX 5090 D:32:12.0 RTX PRO 4000:24:12.0 RTX PRO 4500:32:12.0 RTX PRO 5000:48:12.0 RTX PRO 6000:96:12.0
MI210:64 MI250X:128 MI300X:192 MI325X:256 MI355X:288
`;

const GPUS: readonly (CatalogGpu & { readonly read: GpuName })[] = [
  ...DATA.replaceAll('\n', ' ').matchAll(/([A-Z][^:]*):([\d,]+)(?::([\d.]+))?(?= |$)/g),
].flatMap(([, name = '', sizes = '', capability]) =>
  sizes.split(',').map((size) => ({
    name,
    vramGb: Number(size),
    capability: capability === undefined ? undefined : Number(capability),
    read: gpuNameOf(name),
  })),
);

/** The kinds of GPU that a wish leaves open: "A100 PCIE 40 GB", ... One: the wish is clear. None: nobody knows it. */
export function gpusMeantBy(wish: string): readonly string[] {
  const read = gpuNameOf(wish);
  return GPUS.filter((gpu) => fits(read, gpu.read, gpu.vramGb)).map(
    ({ name, vramGb }) => `${name} ${vramGb} GB`,
  );
}

/** Other products that share the number of a wish: "RTX 6000 Ada" and "RTX PRO 6000" of an "RTX 6000". */
export function namesakesOf(wish: string): readonly string[] {
  const read = gpuNameOf(wish);
  const names = GPUS.filter(
    (gpu) => gpu.read.model === read.model && !fits(read, gpu.read, gpu.vramGb),
  ).map(({ name }) => name);
  return [...new Set(names)];
}

/** The names nearest to one that nobody knows; the nearest first. */
export function nearestGpus(wish: string, count = 3): readonly string[] {
  const read = gpuNameOf(wish);
  const near = [...new Map(GPUS.map((gpu) => [gpu.name, gpu.read]))].map(([name, gpu]) => {
    const form = read.form === undefined ? undefined : gpu.form;
    const kin = read.model === gpu.model ? 0 : 1;
    return { name, distance: kin + distanceOf(lettersOf(read), lettersOf({ ...gpu, form })) };
  });
  return near
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, count)
    .map(({ name }) => name);
}

/** CUDA compute capability of a GPU by its name; `undefined` where the name is not known. */
export function capabilityOf(name: string): number | undefined {
  const read = gpuNameOf(name);
  return GPUS.find(
    (gpu) => read.model === gpu.read.model && read.variants.join() === gpu.read.variants.join(),
  )?.capability;
}

/** Our own name of a GPU that somebody wrote in their way; `undefined` where it is not known. */
export function catalogueName(gpu: string): string | undefined {
  const read = gpuNameOf(gpu);
  return GPUS.find(
    ({ read: { model, variants, form } }) =>
      read.model === model &&
      read.variants.join() === variants.join() &&
      (read.form === undefined || form === undefined || read.form === form),
  )?.name;
}

function lettersOf({ model, variants, form }: GpuName): string {
  return `${model}${variants.join('')}${form ?? ''}`.slice(0, 30);
}

/** Least number of changed letters that make one word the other. */
function distanceOf(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let line = 0; line < one.length; line += 1) {
    const next = [line + 1];
    for (let at = 0; at < other.length; at += 1)
      next.push(
        Math.min(
          (row[at] ?? 0) + (one[line] === other[at] ? 0 : 1),
          (row[at + 1] ?? 0) + 1,
          (next[at] ?? 0) + 1,
        ),
      );
    row = next;
  }
  return row.at(-1) ?? 0;
}
