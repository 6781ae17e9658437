const NOISE = new Set([
  'nvidia',
  'geforce',
  'rtx',
  'gtx',
  'tesla',
  'quadro',
  'graphics',
  'gpu',
  'card',
]);
/** Words that make another product: asked for "4090", a "4090 Laptop" is not one. */
const VARIANTS = new Set(['ti', 'super', 'laptop', 'mobile', 'ada', 'maxq']);

/** Whether a GPU of name `offered` is one of the kind `wanted`: vendor words, case and punctuation do not count (OF-07). */
export function isGpuMatch(wanted: string, offered: string, vramGb?: number): boolean {
  const have = tokensOf(offered);
  const want = tokensOf(wanted);
  if (want.length === 0) return false;
  if (have.some((token) => VARIANTS.has(token) && !want.includes(token))) return false;
  return want.every((token) => have.some((other) => isSame(token, other)) || isVram(token, vramGb));
}

/** "sxm" means "sxm5" too, but "a100" is not "a1000". */
function isSame(wanted: string, offered: string): boolean {
  if (wanted === offered) return true;
  const rest = offered.startsWith(wanted) ? offered.slice(wanted.length) : undefined;
  return rest !== undefined && /[a-z]$/.test(wanted) && wanted.length > 1 && /^\d+$/.test(rest);
}

function isVram(token: string, vramGb: number | undefined): boolean {
  return vramGb !== undefined && Number(token.replace(/gb$/, '')) === Math.round(vramGb);
}

function tokensOf(name: string): readonly string[] {
  return name
    .toLowerCase()
    .replace('max-q', 'maxq')
    .replace(/(rtx|gtx)(?=\d)/g, '')
    .split(/[^a-z0-9]+/)
    .filter((token) => token !== '' && token !== 'gb' && !NOISE.has(token));
}
