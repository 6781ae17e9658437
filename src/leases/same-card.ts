/** Words that make another product of the same number. */
const VARIANTS = ['ti', 'super', 'laptop', 'ada', 'blackwell', 'pro', 'd'] as const;
/** Said by one side only, they tell nothing. */
const OPTIONAL = new Set<string>(['ada', 'blackwell', 'laptop']);

const MODEL = /^(?:[a-z]{1,3}\d{1,4}|\d{3,4})[a-z]?$/;

interface Card {
  /** "4090", "a100", "v100s". */
  readonly model: string;
  readonly variants: ReadonlySet<string>;
  readonly form: 'sxm' | 'pcie' | 'nvl' | undefined;
}

/**
 * Whether a card that calls itself `measured` can be what was sold as `sold` (OF-17): clouds and drivers write the same card
 * in different ways. `undefined`: the names do not tell.
 */
export function isSameCard(sold: string, measured: string): boolean | undefined {
  const one = cardOf(sold);
  const other = cardOf(measured);
  if (one === undefined || other === undefined) return undefined;
  if (one.model !== other.model) return false;
  // A driver names the form of a PCIe card, but not always that of an SXM module.
  if (one.form === 'sxm' && other.form !== undefined && other.form !== 'sxm') return false;
  if (one.form !== undefined && one.form !== 'sxm' && other.form === 'sxm') return false;
  return VARIANTS.every(
    (variant) => one.variants.has(variant) === other.variants.has(variant) || OPTIONAL.has(variant),
  );
}

function cardOf(name: string): Card | undefined {
  const words = name
    .toLowerCase()
    .replace(/max-?q/g, 'laptop')
    .replace(/\b(rtx|gtx|gt)(?=\d)/g, '$1 ')
    // "4080s" and "4070s ti" are the Super cards, "4090d" and "6000ada" are cards of their own.
    .replace(/\b(\d{4}) ?s\b/g, '$1 super')
    .replace(/\b(\d{4})(ti|super|ada|d)\b/g, '$1 $2')
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '' && !/^\d+gb$/.test(word));
  const model = words.find((word) => MODEL.test(word) && !isForm(word) && !isMemory(word));
  if (model === undefined) return undefined;
  const form = words.find(isForm);
  return {
    model,
    variants: new Set(VARIANTS.filter((variant) => words.includes(variant))),
    form:
      form?.startsWith('sxm') === true
        ? 'sxm'
        : form === 'pcie' || form === 'nvl'
          ? form
          : // The driver names no form for the SXM module of the H100, but its memory: the PCIe card says "PCIe".
            model === 'h100' && words.some((word) => word.startsWith('hbm3'))
            ? 'sxm'
            : undefined,
  };
}

const isMemory = (word: string): boolean => /^hbm\d*e?$/.test(word);

function isForm(word: string): boolean {
  return /^(?:sxm\d*|pcie|nvl)$/.test(word);
}
