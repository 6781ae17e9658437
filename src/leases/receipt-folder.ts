import { lstat } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../core/call.ts';
import { isMissing, writeWholeFile } from '../core/json-file.ts';
import { makePrivateFolder } from '../core/private-folder.ts';
import { receiptName, receiptText, type SealedReceipt, sealOf, sha256Of } from '../core/receipt.ts';
import type { Store } from '../core/store.ts';
import { receiptMarkdown } from './receipt-text.ts';

interface ReceiptFolder {
  /**
   * Writes every receipt of the chain that has no file yet, each as JSON and as Markdown. A file that is there is left as it
   * is, whatever it says: to find that it was changed is the work of who checks. Throws what the file system throws.
   */
  publish(): Promise<void>;
}

function createReceiptFolder({
  store,
  folder,
}: {
  readonly store: Store;
  readonly folder: string;
}): ReceiptFolder {
  /** Written, or seen to be there, by this process. */
  const known = new Set<string>();
  return {
    async publish() {
      const receipts = (await store.chain.list()).filter(({ sha256 }) => !known.has(sha256));
      if (receipts.length > 0) await makePrivateFolder(folder);
      for (const receipt of receipts) {
        // Read with fewer fields than it was written with, it is not the receipt: whoever knows them all writes it.
        if (sealOf(receipt) === receipt.sha256) await writeBoth(folder, receipt);
        known.add(receipt.sha256);
      }
    },
  };
}

/**
 * Publishes without ever failing: a receipt that cannot be written is in the store, and no end of a pod waits for a disk. The
 * log says so once; the next call tries again.
 */
export function publisherOf({
  store,
  clock,
  receiptsFolder,
}: {
  readonly store: Store;
  readonly clock: Clock;
  readonly receiptsFolder?: string | undefined;
}): () => Promise<void> {
  if (receiptsFolder === undefined) return async () => Promise.resolve();
  const folder = createReceiptFolder({ store, folder: receiptsFolder });
  let isTold = false;
  return async () => {
    try {
      await folder.publish();
      isTold = false;
    } catch (failure) {
      if (isTold) return;
      isTold = true;
      const code =
        failure instanceof Error && 'code' in failure ? ` (${String(failure.code)})` : '';
      const text = `The folder of receipts could not be written${code}.`;
      const at = clock.now().toISOString();
      await store.log.append({ at, kind: 'receipt_not_written', text }).catch(() => undefined);
    }
  };
}

async function writeBoth(folder: string, receipt: SealedReceipt): Promise<void> {
  const name = path.join(folder, receiptName(receipt));
  const text = receiptMarkdown(receipt);
  // Another version wrote it in other words: better no text than one that the receipt does not vouch for.
  if (sha256Of(text) === receipt.markdownSha256) await writeNew(`${name}.md`, text);
  await writeNew(`${name}.json`, receiptText(receipt));
}

/** Whole or not at all, and lasting. Two processes that write the same receipt write the same bytes. */
async function writeNew(file: string, text: string): Promise<void> {
  try {
    await lstat(file);
    return;
  } catch (failure) {
    if (!isMissing(failure)) throw failure;
  }
  await writeWholeFile(file, text);
}
