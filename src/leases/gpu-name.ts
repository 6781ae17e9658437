/** What a GPU's name says, whoever wrote it: a person, a cloud or the driver. */
export interface GpuName {
  /** "4090", "a100", "titan v": what is left when everything else is taken away. */
  readonly model: string;
  /** Words that make another product: asked for "4090", a "4090 Laptop" is not one. */
  readonly variants: readonly string[];
  readonly form?: 'sxm' | 'pcie' | 'nvl' | undefined;
  readonly vramGb?: number | undefined;
}

const NOISE = new Set(
  'nvidia amd radeon instinct geforce rtx gtx tesla quadro q graphics gpu card generation edition blackwell hopper ampere workstation server ws hbm2 hbm2e gddr6 gddr6x gddr7 gb'.split(
    ' ',
  ),
);
const VARIANTS: ReadonlyMap<string, string> = new Map([
  ['ti', 'ti'],
  ['super', 'super'],
  ['s', 'super'],
  ['laptop', 'laptop'],
  ['mobile', 'laptop'],
  ['maxq', 'maxq'],
  ['ada', 'ada'],
  ['pro', 'pro'],
  ['d', 'd'],
]);
const FORMS: ReadonlyMap<string, NonNullable<GpuName['form']>> = new Map([
  ['sxm', 'sxm'],
  ['pcie', 'pcie'],
  ['pci', 'pcie'],
  ['nvl', 'nvl'],
]);
/** Of a module that carries a CPU, the "480GB" in its name is the CPU's memory. */
const LARGEST_VRAM_GB = 300;
const MAX_CHARS = 100;

/** Reads a name in any spelling: "H100 SXM", "NVIDIA A100-SXM4-80GB", "RTX_4080S", "rtx6000ada". Never throws. */
export function gpuNameOf(name: string): GpuName {
  const model: string[] = [];
  const variants = new Set<string>();
  let form: GpuName['form'];
  let vramGb: number | undefined;
  for (const word of wordsOf(name)) {
    const size = /^(\d{1,3})gb?$/.exec(word)?.[1] ?? (isBareSize(word, model) ? word : undefined);
    const ofForm = FORMS.get(word.replace(/\d$/, ''));
    const variant = VARIANTS.get(word);
    if (size !== undefined) {
      if (Number(size) <= LARGEST_VRAM_GB) vramGb = Number(size);
    } else if (ofForm !== undefined) form = ofForm;
    else if (word.startsWith('hbm3')) form ??= model.includes('h100') ? 'sxm' : undefined;
    else if (word === 's' && variants.has('pro')) continue;
    else if (variant !== undefined) variants.add(variant);
    else if (!NOISE.has(word)) model.push(word);
  }
  return { model: model.join(' '), variants: [...variants].sort(), form, vramGb };
}

/**
 * Whether a GPU of name `offered` is one of the kind `wanted`: vendor words, case and punctuation do not count. A wish for a
 * family ("h100") fits every form and size of it; a form or size that is asked for must be there (OF-07).
 */
export function isGpuMatch(wanted: string, offered: string, vramGb?: number): boolean {
  return fits(gpuNameOf(wanted), gpuNameOf(offered), vramGb);
}

/** As `isGpuMatch`, with the wish read once and each name once: for thousands of offers. */
export function gpuMatcher(
  wanted: readonly string[],
): (offered: string, vramGb: number | undefined) => boolean {
  const wishes = wanted.map(gpuNameOf);
  const names = new Map<string, GpuName>();
  return (offered, vramGb) => {
    let name = names.get(offered);
    if (name === undefined) {
      name = gpuNameOf(offered);
      names.set(offered, name);
    }
    const have = name;
    return wishes.some((wish) => fits(wish, have, vramGb));
  };
}

/**
 * Whether the driver's name of a GPU can be that of the offer: the same model and variants; forms and sizes count only where both
 * names tell them.
 */
export function isSameGpu(one: string, other: string): boolean {
  const a = gpuNameOf(one);
  const b = gpuNameOf(other);
  return (
    a.model === b.model &&
    a.variants.join() === b.variants.join() &&
    (a.form === undefined || b.form === undefined || a.form === b.form) &&
    (a.vramGb === undefined || b.vramGb === undefined || isSameSize(a.vramGb, b.vramGb))
  );
}

export function fits(wish: GpuName, have: GpuName, vramGb: number | undefined): boolean {
  if (wish.model === '') return false;
  const models = have.model.split(' ');
  const size = vramGb ?? have.vramGb;
  return (
    wish.model.split(' ').every((word) => models.includes(word)) &&
    wish.variants.join() === have.variants.join() &&
    (wish.form === undefined || wish.form === have.form) &&
    (wish.vramGb === undefined || (size !== undefined && isSameSize(wish.vramGb, size)))
  );
}

/** Reported sizes differ by what the driver keeps for itself. */
function isSameSize(one: number, other: number): boolean {
  return Math.abs(one - other) <= Math.max(0.9, 0.05 * Math.max(one, other));
}

/** The "80" of "a100 80". */
function isBareSize(word: string, model: readonly string[]): boolean {
  return model.length > 0 && /^\d{2,3}$/.test(word) && Number(word) <= LARGEST_VRAM_GB;
}

function wordsOf(name: string): readonly string[] {
  return name
    .slice(0, MAX_CHARS)
    .toLowerCase()
    .replace('max-q', 'maxq')
    .split(/[^a-z0-9]+/)
    .flatMap((word) => {
      const bare = word.replace(/^(?:nvidia|geforce|rtx|gtx|quadro|tesla)(?=[a-z]?\d)/, '');
      const glued =
        /^(\d{3,4})(ti|super|s|ada|d|laptop)$/.exec(bare) ??
        /^([a-z]{1,2}\d{2,4}[a-z]?)(sxm\d?|pcie|nvl)$/.exec(bare);
      return glued === null ? [bare] : [glued[1] ?? '', glued[2] ?? ''];
    })
    .filter((word) => word !== '');
}
