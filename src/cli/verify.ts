import path from 'node:path';
import { count } from '../core/count.ts';
import type { Verification, VerifiedReceipt } from '../core/receipt.ts';
import {
  type Command,
  type CommandContext,
  EXIT_FAILED,
  EXIT_OK,
  flag,
  text,
  texts,
  UsageError,
} from './command.ts';
import { type Output, shown } from './output.ts';

const MOST_SHOWN = 50;

export const verifyCommand: Command = {
  name: 'verify',
  summary: 'Check receipts, their chain and the files they name, on any machine.',
  usage: 'RECEIPT|FOLDER',
  details:
    'Asks nobody and runs nothing. Files are looked for below each --files, or without it below FOLDER; and where a receipt names them in the\nfolder "rescued" beside its own folder "receipts". Nowhere else.\nExit code 1 when anything is edited, missing or cannot be proven.',
  positionals: { min: 1, max: 1 },
  options: {
    files: {
      type: 'string',
      multiple: true,
      value: 'FOLDER',
      help: 'Where artifacts lie now; may be given again.',
    },
    head: { type: 'string', value: 'SHA256', help: 'Hash that the newest receipt must have.' },
    'chain-only': { type: 'boolean', help: 'Only the receipts, not the artifacts.' },
  },
  run: async ({ verifier, out, values, positionals, signal, ...host }: CommandContext) => {
    const { workingFolder } = host;
    const target = positionals[0] ?? '';
    if (target === '') throw new UsageError('Name a receipt, or a folder with receipts.');
    const files = texts(values, 'files').map((folder) => path.resolve(workingFolder, folder));
    const head = text(values, 'head')?.toLowerCase();
    if (head !== undefined && !/^[0-9a-f]{64}$/.test(head))
      throw new UsageError('--head takes a SHA-256: 64 hexadecimal digits.');
    const chainOnly = flag(values, 'chain-only');
    if (chainOnly && files.length > 0)
      throw new UsageError('--files and --chain-only exclude each other.');
    const result = await (await verifier()).verify(
      {
        target: path.resolve(workingFolder, target),
        chainOnly,
        ...(files.length === 0 ? {} : { files }),
        ...(head === undefined ? {} : { head }),
      },
      { signal },
    );
    out.value(result);
    for (const line of render(result, chainOnly, out)) out.line(line);
    return result.ok ? EXIT_OK : EXIT_FAILED;
  },
};

function render(
  { ok, receipts, findings, moreExtra = 0, notChecked }: Verification,
  chainOnly: boolean,
  out: Output,
): string[] {
  const artifacts = receipts.flatMap((receipt) => receipt.artifacts);
  const proven = artifacts.filter(({ state }) => state === 'proven').length;
  const newest = receipts.at(-1);
  const shownFindings = findings.slice(0, MOST_SHOWN);
  const hidden = findings.length + moreExtra - shownFindings.length;
  const ofReceipts = count(receipts.length, 'receipt');
  return [
    ...receipts.map(receiptLine),
    ...(findings.length === 0 ? [] : ['', out.paint('red', 'Wrong, or not proven:')]),
    ...shownFindings.map(({ finding, file, sequence, why }) => {
      const number = sequence === undefined ? '' : ` (receipt ${sequence})`;
      const where = file === undefined ? '' : ` ${shown(file, 300)}`;
      return `  - ${finding}${number}${where}: ${shown(why, 300)}`;
    }),
    ...(hidden > 0 ? [`  and ${hidden} more${moreExtra > 0 ? '' : ': see --json'}.`] : []),
    '',
    'Not checked:',
    ...notChecked.map((why) => `  - ${why}`),
    '',
    ok
      ? out.paint(
          'green',
          chainOnly
            ? `The chain holds: ${ofReceipts}. Their artifacts were not looked at.`
            : `All proven: ${ofReceipts}, ${proven} of ${count(artifacts.length, 'artifact')}.`,
        )
      : out.paint(
          'red',
          `Not proven: ${count(findings.length + moreExtra, 'finding')} in ${ofReceipts}.`,
        ),
    ...(newest === undefined
      ? []
      : [`Newest: receipt ${newest.sequence}, sha256 ${newest.sha256}`]),
  ];
}

function receiptLine({ sequence, kind, podId, superseded, artifacts }: VerifiedReceipt): string {
  const counts = new Map<string, number>();
  for (const { state } of artifacts) counts.set(state, (counts.get(state) ?? 0) + 1);
  const files =
    artifacts.length === 0
      ? ''
      : `: ${[...counts].map(([state, number]) => `${number} ${state}`).join(', ')}`;
  const still = superseded && kind !== 'withdrawn' ? ', a later one counts' : '';
  return `Receipt ${sequence} of ${shown(podId)}, ${kind}${still}${files}`;
}
