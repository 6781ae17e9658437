import { cleanTerminalText } from '../../../core/untrusted.ts';

/** Names as Vast.ai writes them -> the maker's. A name that is not here is shown as it comes, cleaned. */
const CANONICAL: ReadonlyMap<string, string> = new Map([
  ['H200', 'H200 SXM'],
  ['Q RTX 4000', 'Quadro RTX 4000'],
  ['Q RTX 5000', 'Quadro RTX 5000'],
  ['Q RTX 6000', 'Quadro RTX 6000'],
  ['Q RTX 8000', 'Quadro RTX 8000'],
  ['RTX 2000Ada', 'RTX 2000 Ada'],
  ['RTX 4000Ada', 'RTX 4000 Ada'],
  ['RTX 4500Ada', 'RTX 4500 Ada'],
  ['RTX 5000Ada', 'RTX 5000 Ada'],
  ['RTX 5880Ada', 'RTX 5880 Ada'],
  ['RTX 6000Ada', 'RTX 6000 Ada'],
  ['GTX 1660 S', 'GTX 1660 Super'],
  ['RTX 2060S', 'RTX 2060 Super'],
  ['RTX 2070S', 'RTX 2070 Super'],
  ['RTX 2080S', 'RTX 2080 Super'],
  ['RTX 4070S', 'RTX 4070 Super'],
  ['RTX 4070S Ti', 'RTX 4070 Ti Super'],
  ['RTX 4080S', 'RTX 4080 Super'],
  ['RTX 4090D', 'RTX 4090 D'],
  ['RTX 3060 laptop', 'RTX 3060 Laptop'],
  ['RTX 3070 laptop', 'RTX 3070 Laptop'],
  ['RTX 3080 laptop', 'RTX 3080 Laptop'],
  ['RTX PRO 6000 S', 'RTX PRO 6000 Server'],
  ['RTX PRO 6000 WS', 'RTX PRO 6000 Workstation'],
  ['InstinctMI50', 'Instinct MI50'],
  ['InstinctMI100', 'Instinct MI100'],
  ['InstinctMI250X', 'Instinct MI250X'],
  ['InstinctMI300X', 'Instinct MI300X'],
]);
/** Names that Vast.ai and the maker write alike. */
const PLAIN = [
  ...['A2', 'A10', 'A10G', 'A16', 'A30', 'A40', 'A100 PCIE', 'A100 SXM4', 'A100X', 'A800 PCIE'],
  ...['A800 SXM4', 'L4', 'L40', 'L40S', 'Radeon VII'],
  ...[
    'H100 NVL',
    'H100 PCIE',
    'H100 SXM',
    'H200 NVL',
    'H20',
    'H800 SXM',
    'B200',
    'B300',
    'GH200 SXM',
    'GB200',
  ],
  ...['RTX A2000', 'RTX A4000', 'RTX A4500', 'RTX A5000', 'RTX A5500', 'RTX A6000'],
  ...['GTX 1050 Ti', 'GTX 1060', 'GTX 1070', 'GTX 1070 Ti', 'GTX 1080', 'GTX 1080 Ti', 'GTX 1650'],
  ...['GTX 1660', 'GTX 1660 Ti', 'RTX 2060', 'RTX 2070', 'RTX 2080', 'RTX 2080 Ti'],
  ...['RTX 3050', 'RTX 3060', 'RTX 3060 Ti', 'RTX 3070', 'RTX 3070 Ti', 'RTX 3080', 'RTX 3080 Ti'],
  ...['RTX 3090', 'RTX 3090 Ti', 'RTX 4060', 'RTX 4060 Ti', 'RTX 4070', 'RTX 4070 Ti', 'RTX 4080'],
  ...['RTX 4090', 'RTX 5060', 'RTX 5060 Ti', 'RTX 5070', 'RTX 5070 Ti', 'RTX 5080', 'RTX 5090'],
  ...['RTX PRO 4000', 'RTX PRO 4500', 'RTX PRO 5000', 'RTX PRO 6000'],
  ...['Tesla T4', 'Tesla V100', 'Tesla P4', 'Tesla P40', 'Tesla P100', 'Tesla K80', 'Tesla M40'],
  ...['Titan RTX', 'Titan V', 'Titan Xp', 'MI210', 'MI250X', 'MI300X', 'MI325X'],
  ...['RX 6800', 'RX 6900 XT', 'RX 7900 XT', 'RX 7900 XTX', 'PRO W7800', 'PRO W7900'],
];
const VAST_NAMES: readonly string[] = [...CANONICAL.keys(), ...PLAIN];

/** Words of makers, families, forms and variants: left out, a wish means a card and all its variants. */
const LOOSE = new Set(
  'nvidia amd radeon instinct geforce rtx gtx tesla quadro rx q graphics gpu card generation edition blackwell hopper ampere workstation server ws gb ti super s laptop mobile maxq max ada pro d'.split(
    ' ',
  ),
);
const SIZE_OR_FORM = /^(?:\d{1,3}(?:gb?)?|(?:sxm|pcie?|nvl)\d?|(?:hbm|gddr)\d[a-z]?)$/;
const MAX_NAME_WORDS = 5;
const MAX_WISH_CHARS = 100;
/** A word of a name has a digit, or is short and in capitals, or is one of these. */
const NAME_WORD =
  /^(?:[A-Za-z]{0,10}\d[A-Za-z0-9/.+-]{0,10}|titan|radeon|quadro|tesla|instinct|geforce|nvidia|amd|pro|ti|xp|super|ada|laptop|mobile|max-q|server|workstation|edition|generation|blackwell)$/i;
const CAPITALS = /^[A-Z]{1,5}$/;

/** Names already read: a market has some fifty, in thousands of offers. */
const READ = new Map<string, string>(CANONICAL);
const MAX_READ = 1000;

/** The name to show for a name of Vast.ai: known ones as the maker writes them, of others what looks like a name, perhaps nothing. */
export function vastGpuName(name: string): string {
  const known = READ.get(name);
  if (known !== undefined) return known;
  const shown = readName(name.slice(0, MAX_WISH_CHARS));
  if (READ.size < MAX_READ && name.length <= MAX_WISH_CHARS) READ.set(name, shown);
  return shown;
}

function readName(name: string): string {
  const [line = ''] = cleanTerminalText(name).trim().split('\n');
  const words = line.split(/[^A-Za-z0-9/.+-]+/).filter((word) => word !== '');
  const end = words.findIndex((word) => !NAME_WORD.test(word) && !CAPITALS.test(word));
  const kept = words.slice(0, Math.min(end < 0 ? words.length : end, MAX_NAME_WORDS)).join(' ');
  return /\d/.test(kept) || PLAIN.includes(kept) ? kept : '';
}

/**
 * Every name of Vast.ai that one of `wanted` may mean: at least those that match, perhaps a few more. `undefined`: a wish that
 * no known name fits, so that only a look at all offers can tell.
 */
export function vastGpuNames(wanted: readonly string[]): readonly string[] | undefined {
  const names = new Set<string>();
  for (const wish of wanted) {
    const fitting = VAST_NAMES.filter((name) => mayBe(wish, name));
    if (fitting.length === 0) return undefined;
    for (const name of fitting) names.add(name);
  }
  return names.size === 0 ? undefined : [...names];
}

function mayBe(wish: string, name: string): boolean {
  const have = [...modelOf(name), ...modelOf(vastGpuName(name))];
  const want = modelOf(wish);
  return want.length > 0 && want.every((word) => have.includes(word));
}

/** "RTX_4080S", "rtx6000ada", "A100-SXM4-80GB" -> "4080", "6000", "a100". */
function modelOf(name: string): readonly string[] {
  return name
    .slice(0, MAX_WISH_CHARS)
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .map((word) =>
      word
        .replace(/^(?:nvidia|geforce|rtx|gtx|quadro|tesla|instinct)(?=[a-z]*\d)/, '')
        .replace(/^(\d{3,4})(?:ti|super|s|ada|d|laptop)$/, '$1')
        .replace(/^([a-z]{1,2}\d{2,4}[a-z]?)(?:sxm\d?|pcie|nvl)$/, '$1'),
    )
    .filter((word) => word !== '' && !LOOSE.has(word) && !SIZE_OR_FORM.test(word));
}
