import { readdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { RESCUE_FOLDER } from '../core/left-behind.ts';
import {
  type Finding,
  RECEIPT_FILE,
  type VerifiedReceipt,
  type Verifier,
  type VerifyRequest,
} from '../core/receipt.ts';
import { checkArtifacts } from './verify-artifacts.ts';
import { checkChains } from './verify-chain.ts';
import type { Places } from './verify-place.ts';
import { type ReadFolder, type ReadReceipt, readReceipts } from './verify-read.ts';

const MOST_EXTRA = 1000;
const PROVIDER =
  'The provider was not asked again: what it said of the end stands in the receipt alone.';
const UNSIGNED =
  'Receipts are bound by hash and not signed: removing the newest, or rewriting one and all after it, shows only against a hash kept elsewhere (--head).';

/** Needs nothing but the files: no settings, no state, no network. */
export function createVerifier(): Verifier {
  return {
    async verify(request, { signal }) {
      const read = await readReceipts(request.target, signal);
      const chain = checkChains(read.receipts, request.head);
      const gone = new Set(
        read.receipts.flatMap(({ receipt, sound }) => (sound ? (receipt.supersedes ?? []) : [])),
      );
      const findings = [...read.findings, ...chain.findings];
      const named = read.receipts.find(({ file }) => file === read.named)?.receipt.sha256;
      const places = await placesOf(request, read);
      const receipts: VerifiedReceipt[] = [];
      const found = new Set<string>();
      for (const one of unique(read.receipts)) {
        const { receipt, file, sound } = one;
        const superseded = gone.has(receipt.sha256) || receipt.kind === 'withdrawn';
        // Of one receipt that was named, its files are looked at; of the others beside it, the chain.
        const isWanted = read.named === undefined ? !superseded : receipt.sha256 === named;
        const checked =
          request.chainOnly || !isWanted || !sound
            ? []
            : await checkArtifacts(one, read.receipts, places, signal);
        if (isWanted && sound && receipt.proof.status !== 'gone')
          findings.push({
            finding: 'end_unproven',
            file,
            sequence: receipt.sequence,
            why: 'By its own words nobody saw the pod gone: it may go on costing money.',
          });
        for (const { artifact, finding } of checked) {
          if (artifact.localPath !== undefined) found.add(artifact.localPath);
          if (finding !== undefined) findings.push(finding);
        }
        const { sequence, kind, sha256, lease } = receipt;
        const artifacts = checked.map(({ artifact }) => artifact);
        receipts.push({ file, sequence, kind, podId: lease.podId, sha256, superseded, artifacts });
      }
      const extra =
        places.moved.length === 0
          ? { findings: [], more: 0 }
          : await extras(places.moved, found, signal);
      findings.push(...extra.findings);
      const wanted = new Set(
        receipts.filter(({ superseded }) => !superseded).map(({ sha256 }) => sha256),
      );
      const lost = unique(read.receipts)
        .filter(({ receipt }) => wanted.has(receipt.sha256))
        .flatMap(({ receipt }) => receipt.notHome ?? []).length;
      const unopened = receipts
        .flatMap(({ artifacts }) => artifacts)
        .filter(({ proof }) => proof === 'hash').length;
      const notChecked = [
        PROVIDER,
        ...(request.head === undefined ? [UNSIGNED] : []),
        ...chain.notChecked,
        ...(request.chainOnly ? ['The artifacts were not looked at.'] : []),
        ...(read.named !== undefined && read.receipts.length > 1 && !request.chainOnly
          ? ['Of the other receipts beside it only the chain was looked at, not their artifacts.']
          : []),
        ...(read.withoutText > 0
          ? [`Receipts that lie here without their text for people: ${read.withoutText}.`]
          : []),
        ...(lost > 0 ? [`Outputs that the receipts themselves name as not home: ${lost}.`] : []),
        ...(unopened > 0
          ? [
              `Files of a type that is not opened, so that only their bytes are proven: ${unopened}.`,
            ]
          : []),
      ];
      return {
        ok: findings.length === 0 && receipts.length > 0,
        receipts,
        findings,
        ...(extra.more === 0 ? {} : { moreExtra: extra.more }),
        notChecked,
      };
    },
  };
}

function unique(receipts: readonly ReadReceipt[]): readonly ReadReceipt[] {
  return [...new Map(receipts.map((read) => [read.receipt.sha256, read])).values()].toSorted(
    (one, other) => one.receipt.sequence - other.receipt.sequence,
  );
}

async function placesOf({ files }: VerifyRequest, { folder, named }: ReadFolder): Promise<Places> {
  const shelf = folder ?? path.dirname(named ?? '');
  const isShelf = path.basename(shelf) === 'receipts';
  const rescued = isShelf ? await ownFolder(path.join(path.dirname(shelf), RESCUE_FOLDER)) : [];
  if (files !== undefined) {
    const given = typeof files === 'string' ? [files] : files;
    const moved = await Promise.all(
      given.map(async (place) => realpath(place).catch(() => path.resolve(place))),
    );
    return { roots: [...moved, ...rescued], moved };
  }
  // Nobody named another folder, and a receipt cannot.
  const roots = [...(folder === undefined ? [] : [folder]), ...rescued];
  // A folder that holds receipts and nothing else tells nothing about files that moved.
  return { roots, moved: folder === undefined || isShelf ? [] : [folder] };
}

/** The folder, if it is one and no link to another. */
async function ownFolder(folder: string): Promise<readonly string[]> {
  return (await realpath(folder).catch(() => undefined)) === folder ? [folder] : [];
}

/**
 * Files that no receipt here vouches for: beside an artifact, or below the folder of one, they may be taken for one (AR-05).
 * Directly in a root, which may be a whole project, only what lies beside counts.
 */
async function extras(
  roots: readonly string[],
  found: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<{ readonly findings: readonly Finding[]; readonly more: number }> {
  const extra: Finding[] = [];
  const seen = new Set<string>();
  const pending = [...new Set([...found].map((file) => path.dirname(file)))];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    signal.throwIfAborted();
    if (seen.has(at)) continue;
    seen.add(at);
    const inside = await readdir(at, { withFileTypes: true }).catch(() => undefined);
    if (inside === undefined)
      extra.push({ finding: 'artifact_extra', file: at, why: 'The folder cannot be read.' });
    for (const entry of inside ?? []) {
      const file = path.join(at, entry.name);
      if (entry.isDirectory()) {
        if (!roots.includes(at)) pending.push(file);
      } else if (!found.has(file) && !RECEIPT_FILE.test(entry.name.replace(/\.md$/, '.json')))
        extra.push({ finding: 'artifact_extra', file, why: 'No receipt here names it.' });
    }
  }
  const sorted = extra.toSorted((one, other) => ((one.file ?? '') < (other.file ?? '') ? -1 : 1));
  const findings = sorted.slice(0, MOST_EXTRA);
  return { findings, more: sorted.length - findings.length };
}
