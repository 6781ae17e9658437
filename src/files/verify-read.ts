import { constants } from 'node:fs';
import { lstat, open, readdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { InputError } from '../core/errors.ts';
import {
  canonicalJson,
  type Finding,
  RECEIPT_FILE,
  type SealedReceipt,
  sealedReceiptSchema,
  sealOf,
  sha256Of,
} from '../core/receipt.ts';

export interface ReadReceipt {
  readonly file: string;
  readonly receipt: SealedReceipt;
  /** It is what its own hash says, to the byte. */
  readonly sound: boolean;
}
export interface ReadFolder {
  readonly receipts: readonly ReadReceipt[];
  readonly findings: readonly Finding[];
  /** How many lie there without their text for people. */
  readonly withoutText: number;
  /** What was named: a folder, or the file of one receipt. */
  readonly folder?: string | undefined;
  readonly named?: string | undefined;
}

/** Of a receipt with a hundred thousand artifacts. */
const LARGEST_BYTES = 64 << 20;
const objectSchema = z.record(z.string(), z.unknown());

/** Every receipt at `target` and beside it, each held against its own hash. Throws `path_missing` where there is none. */
export async function readReceipts(target: string, signal: AbortSignal): Promise<ReadFolder> {
  const real = await realpath(target).catch(() => undefined);
  if (real === undefined) throw noReceipt('Nothing exists there.');
  const isFolder = (await lstat(real)).isDirectory();
  const named = isFolder ? [] : [real.endsWith('.md') ? `${real.slice(0, -3)}.json` : real];
  const folders = isFolder ? [real, path.join(real, 'receipts')] : [path.dirname(real)];
  const beside: string[] = [];
  for (const folder of folders) {
    const names = await readdir(folder).catch((): readonly string[] => []);
    beside.push(
      ...names.filter((name) => RECEIPT_FILE.test(name)).map((name) => path.join(folder, name)),
    );
  }
  const files = [...new Set([...named, ...beside])].sort();
  if (files.length === 0) throw noReceipt('There is no receipt in that folder.');
  const receipts: ReadReceipt[] = [];
  const findings: Finding[] = [];
  let withoutText = 0;
  for (const file of files) {
    signal.throwIfAborted();
    const read = await readReceipt(file);
    findings.push(...read.findings);
    if (read.receipt === undefined) continue;
    receipts.push({ file, receipt: read.receipt, sound: read.findings.length === 0 });
    const text = await checkText(file, read.receipt);
    if (text === undefined) withoutText += 1;
    else findings.push(...text);
  }
  const [only] = named;
  return {
    receipts,
    findings,
    withoutText,
    ...(only === undefined ? { folder: real } : { named: only }),
  };
}

async function readReceipt(
  file: string,
): Promise<{ readonly receipt?: SealedReceipt; readonly findings: readonly Finding[] }> {
  const unreadable = (why: string) => ({
    findings: [{ finding: 'unreadable' as const, file, why }],
  });
  const bytes = await readPlain(file);
  if (bytes === undefined) return unreadable('It cannot be read as a plain file of a receipt.');
  let value: z.output<typeof objectSchema>;
  let text: string;
  try {
    value = objectSchema.parse(JSON.parse(bytes.toString('utf8')));
    text = `${canonicalJson(value)}\n`;
  } catch {
    return unreadable('It is not the JSON of a receipt.');
  }
  const parsed = sealedReceiptSchema.safeParse(value);
  if (!parsed.success) return unreadable('It lacks what a receipt of this version holds.');
  const receipt = parsed.data;
  const { sequence } = receipt;
  const edited = (why: string) => ({
    receipt,
    findings: [{ finding: 'edited' as const, file, sequence, why }],
  });
  if (sealOf(value) !== receipt.sha256) return edited('Its content is not what its hash says.');
  if (!Buffer.from(text).equals(bytes)) return edited('It is written otherwise than it was.');
  return { receipt, findings: [] };
}

/** `undefined`: there is no text. */
async function checkText(
  file: string,
  { markdownSha256, sequence }: SealedReceipt,
): Promise<readonly Finding[] | undefined> {
  const beside = `${file.replace(/\.json$/, '')}.md`;
  if (beside === file || (await lstat(beside).catch(() => undefined)) === undefined)
    return undefined;
  const bytes = await readPlain(beside);
  return bytes !== undefined && sha256Of(bytes) === markdownSha256
    ? []
    : [
        {
          finding: 'edited',
          file: beside,
          sequence,
          why: 'The text for people is not the one that belongs to the receipt.',
        },
      ];
}

/** The bytes of a plain file of reasonable size. Follows no link and waits for no pipe. */
async function readPlain(file: string): Promise<Buffer | undefined> {
  try {
    await using handle = await open(file, constants.O_RDONLY | NO_LINK);
    const stats = await handle.stat();
    if (!stats.isFile() || stats.size > LARGEST_BYTES) return undefined;
    return await handle.readFile();
  } catch {
    return undefined;
  }
}

/** Windows knows neither, and takes an unknown one for none. */
export const NO_LINK = constants.O_NOFOLLOW | constants.O_NONBLOCK;

function noReceipt(message: string): InputError {
  return new InputError('path_missing', message, {
    hint: 'Name a receipt, or a folder with receipts. They are written to the folder "receipts" of the state folder.',
  });
}
