/** How the driver calls a card that a marketplace sells as `name`: "A100 SXM4" is "NVIDIA A100-SXM4-80GB". */
export function driverName(name: string, vramMib: number): string {
  const plain = name
    .replace(/[^\x20-\x7e]/g, '')
    .trim()
    .slice(0, 80);
  const size = `${nominalGb(vramMib)}GB`;
  if (/^(?:NVIDIA|Quadro)\b/.test(plain)) return plain;
  if (plain.startsWith('Tesla V100')) return `Tesla V100-SXM2-${size}`;
  if (/^Tesla\b/.test(plain)) return plain;
  if (plain.startsWith('Q RTX')) return plain.replace(/^Q /, 'Quadro ');
  if (plain.startsWith('A100 SXM4')) return `NVIDIA A100-SXM4-${size}`;
  if (plain.startsWith('A100 PCIE'))
    return size === '40GB' ? 'NVIDIA A100-PCIE-40GB' : `NVIDIA A100 ${size} PCIe`;
  if (plain.startsWith('H100 SXM')) return `NVIDIA H100 ${size} HBM3`;
  if (plain.startsWith('GH200')) return 'NVIDIA GH200 480GB';
  if (plain.endsWith('PCIE')) return `NVIDIA ${plain.replace(/PCIE$/, 'PCIe')}`;
  if (/^(?:RTX|GTX) \d/.test(plain) && !/^RTX \d000 ?Ada/.test(plain))
    return `NVIDIA GeForce ${plain.replace(/(\d)S( Ti)?$/, '$1$2 SUPER')}`;
  return `NVIDIA ${plain.replace(/(\d) ?Ada$/, '$1 Ada Generation')}`;
}

/** Cards report a little less than they are sold with. */
function nominalGb(vramMib: number): number {
  const sizes = [8, 10, 11, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 141, 180];
  const gib = vramMib / 1024;
  return sizes.reduce((best, size) => (Math.abs(size - gib) < Math.abs(best - gib) ? size : best));
}
