import path from 'node:path';
import { type Finding, RECEIPT_FILE } from '../core/receipt.ts';
import type { ReadReceipt } from './verify-read.ts';

export interface CheckedChain {
  readonly findings: readonly Finding[];
  /** What cannot be told from these receipts. */
  readonly notChecked: readonly string[];
}

/**
 * Whether the receipts follow one another as they were written, for each chain among them. Pure. Names every link that is
 * missing, replaced, at another place or there twice.
 */
export function checkChains(
  receipts: readonly ReadReceipt[],
  head: string | undefined,
): CheckedChain {
  const chains = new Map<string, ReadReceipt[]>();
  for (const read of receipts) {
    const known = chains.get(read.receipt.chain) ?? [];
    // A copy under another name is no fork.
    if (!known.some((other) => other.receipt.sha256 === read.receipt.sha256)) known.push(read);
    chains.set(read.receipt.chain, known);
  }
  const checked = [...chains.values()].map(checkOne);
  const findings = [...receipts.flatMap(misplaced), ...checked.flatMap((one) => one.findings)];
  if (head !== undefined && !checked.some(({ newest }) => newest === head))
    findings.push({
      finding: 'head',
      why: 'The newest receipt here is not the one with the expected hash: later ones are missing, or they were rewritten.',
    });
  return { findings, notChecked: checked.flatMap((one) => one.notChecked) };
}

/** Two receipts that changed their names show by the number in them. */
function misplaced({ file, receipt: { sequence } }: ReadReceipt): readonly Finding[] {
  const told = RECEIPT_FILE.exec(path.basename(file))?.[1];
  return told === undefined || Number(told) === sequence
    ? []
    : [
        {
          finding: 'reordered',
          file,
          sequence,
          why: `Its name says ${Number(told)} and it is receipt ${sequence}.`,
        },
      ];
}

function checkOne(chain: readonly ReadReceipt[]): CheckedChain & { readonly newest: string } {
  const links = chain.toSorted((one, other) => one.receipt.sequence - other.receipt.sequence);
  const findings: Finding[] = [];
  const notChecked: string[] = [];
  const at = new Map<number, ReadReceipt[]>();
  for (const link of links)
    at.set(link.receipt.sequence, [...(at.get(link.receipt.sequence) ?? []), link]);
  const hashes = new Set(links.map(({ receipt }) => receipt.sha256));
  for (const [sequence, twins] of at)
    if (twins.length > 1)
      for (const { file } of twins)
        findings.push({
          finding: 'forked',
          file,
          sequence,
          why: `${twins.length} different receipts claim to be number ${sequence}.`,
        });
  for (const { file, receipt } of links) {
    const { sequence, previous } = receipt;
    const wrong = (finding: Finding['finding'], why: string): void => {
      findings.push({ finding, file, sequence, why });
    };
    if ((sequence === 1) !== (previous === undefined))
      wrong('edited', 'Only the first receipt follows none.');
    const before = at.get(sequence - 1) ?? [];
    if (sequence === 1 || previous === undefined) continue;
    if (before.some((link) => link.receipt.sha256 === previous)) continue;
    if (before.length > 0)
      wrong(
        hashes.has(previous) ? 'reordered' : 'edited',
        `It was written after another receipt ${sequence - 1} than the one here: one of the two was replaced.`,
      );
    else if (links.length > 1)
      wrong('missing', `${gap(sequence, at)} before it ${sequence > 2 ? 'may be' : 'is'} missing.`);
    else
      notChecked.push(
        `Receipt ${sequence} lies here alone: the ones before it were not seen, so its place in the chain is not proven.`,
      );
  }
  return { findings, notChecked, newest: links.at(-1)?.receipt.sha256 ?? '' };
}

/** "Receipt 3", "Receipts 3 to 5". */
function gap(sequence: number, at: ReadonlyMap<number, unknown>): string {
  let first = sequence - 1;
  while (first > 1 && !at.has(first - 1)) first -= 1;
  return first === sequence - 1 ? `Receipt ${first}` : `Receipts ${first} to ${sequence - 1}`;
}
