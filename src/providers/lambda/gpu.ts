import { cleanTerminalText } from '../../core/untrusted.ts';
import type { InstanceType } from './wire.ts';

export interface Gpu {
  /** As other clouds write it: "H100 SXM". */
  readonly name: string;
  /** Of one, nominal. */
  readonly vramGb?: number | undefined;
  readonly isArm: boolean;
}

const NAMES: ReadonlyMap<string, string> = new Map([
  ['A6000', 'RTX A6000'],
  ['RTX 6000', 'Quadro RTX 6000'],
  ['V100', 'Tesla V100'],
]);
/** Module forms: a form with a number names what other clouds call by the bare one. */
const FORM = /\b(SXM\d?|PCIe|NVL)\b/i;
const FORMS: ReadonlyMap<string, string> = new Map([
  ['SXM5', 'SXM'],
  ['SXM6', ''],
  ['PCIE', 'PCIE'],
]);
/** Cards that exist in one form only are written without it. */
const PLAIN = new Set(['A10', 'RTX A6000', 'Quadro RTX 6000', 'GH200', 'B200', 'B300']);
const MAX_CHARS = 60;

/**
 * What the prose of a type says: "H100 (80 GB SXM5)", else its name, "gpu_8x_a100_80gb_sxm4". `undefined`: no GPU, or nothing that
 * looks like the name of one.
 */
export function gpuOf({ name, gpu_description: prose, specs }: InstanceType): Gpu | undefined {
  if (specs.gpus < 1) return undefined;
  const told = readProse(prose ?? '') ?? readName(name);
  if (told === undefined) return undefined;
  return { ...told, isArm: /\bG[HB]\d{3}\b/.test(told.name) };
}

function readProse(prose: string): Omit<Gpu, 'isArm'> | undefined {
  const line = cleanTerminalText(prose).slice(0, MAX_CHARS);
  const [, model = '', inside = ''] =
    /^([A-Za-z0-9 .+-]+?)\s*(?:\(([^)]*)\))?$/.exec(line.trim()) ?? [];
  return /\d/.test(model) ? named(model, inside) : undefined;
}

/** "gpu_8x_a100_80gb_sxm4" */
function readName(name: string): Omit<Gpu, 'isArm'> | undefined {
  const [, model = '', rest = ''] =
    /^gpu_\d{1,3}x_([a-z0-9]{1,20})((?:_[a-z0-9]{1,20})*)$/.exec(name) ?? [];
  if (model === '') return undefined;
  return named(model.toUpperCase().replace(/^RTX(?=\d)/, 'RTX '), rest.replaceAll('_', ' '));
}

function named(model: string, inside: string): Omit<Gpu, 'isArm'> {
  const plain = NAMES.get(model) ?? model;
  const form = (FORM.exec(inside)?.[1] ?? '').toUpperCase();
  const suffix = PLAIN.has(plain) ? '' : (FORMS.get(form) ?? form);
  const vramGb = Number(/(\d{1,4})\s*GB/i.exec(inside)?.[1] ?? Number.NaN);
  return {
    name: suffix === '' ? plain : `${plain} ${suffix}`,
    ...(vramGb > 0 ? { vramGb } : {}),
  };
}
