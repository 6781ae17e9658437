import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { PROOF_LEVELS } from '../core/files.ts';
import type { Finding, SealedReceipt, VerifiedArtifact } from '../core/receipt.ts';
import { prove } from './prove.ts';
import { createPlacing, type Place, type Places } from './verify-place.ts';
import { NO_LINK, type ReadReceipt } from './verify-read.ts';

type Artifact = SealedReceipt['artifacts'][number];
export interface Checked {
  readonly artifact: VerifiedArtifact;
  readonly finding?: Finding;
}
/** What later receipts of the same chain say of the same place. */
type Later = (localPath: string) => readonly Artifact[];

/** Each artifact of one receipt: found, hashed and opened. `all`: the receipts that may have replaced it since. */
export async function checkArtifacts(
  { receipt }: ReadReceipt,
  all: readonly ReadReceipt[],
  places: Places,
  signal: AbortSignal,
): Promise<readonly Checked[]> {
  const placeOf = await createPlacing(receipt, places);
  const later = all.filter(
    (other) =>
      other.sound &&
      other.receipt.chain === receipt.chain &&
      other.receipt.sequence > receipt.sequence,
  );
  const laterAt: Later = (localPath) =>
    later.flatMap((other) =>
      other.receipt.artifacts.filter((artifact) => artifact.localPath === localPath),
    );
  const checked: Checked[] = [];
  for (const artifact of receipt.artifacts) {
    signal.throwIfAborted();
    const one = await checkOne(artifact, await placeOf(artifact), laterAt, signal);
    checked.push({
      artifact: one.artifact,
      ...(one.finding === undefined
        ? {}
        : { finding: { ...one.finding, sequence: receipt.sequence } }),
    });
  }
  return checked;
}

async function checkOne(
  artifact: Artifact,
  place: Place,
  laterAt: Later,
  signal: AbortSignal,
): Promise<Checked> {
  const about = { path: artifact.path };
  const wrong = (finding: Finding['finding'], why: string, file = artifact.localPath) => ({
    finding,
    file,
    why,
  });
  switch (place.kind) {
    case 'none':
      return {
        artifact: { ...about, state: 'missing' },
        finding: wrong('artifact_missing', 'It is not there.'),
      };
    case 'unseen':
      return {
        artifact: { ...about, state: 'missing' },
        finding: wrong(
          'artifact_missing',
          'It is not in the folders given; the receipt says where it lay: give its folder with --files too.',
        ),
      };
    case 'elsewhere':
      return {
        artifact: { ...about, state: 'elsewhere' },
        finding: wrong(
          'artifact_elsewhere',
          'The receipt names a place outside the folders that may be read: name the folder with --files.',
        ),
      };
    case 'odd':
      return {
        artifact: { ...about, state: 'changed' },
        finding: wrong('artifact_changed', 'It is no plain file inside the folder.'),
      };
    case 'found': {
      const { file } = place;
      const here = { ...about, localPath: file };
      const later = laterAt(artifact.localPath);
      const sizes = [artifact, ...later].map(({ bytes }) => bytes);
      const sha256 = await hashOf(file, sizes, signal);
      if (sha256 !== artifact.sha256)
        return later.some((other) => other.sha256 === sha256)
          ? { artifact: { ...here, state: 'replaced' } }
          : {
              artifact: { ...here, state: 'changed' },
              finding: wrong('artifact_changed', 'It is not the file that came home.', file),
            };
      const { proof, problem } = await prove(file, { limit: 'loaded', signal });
      if (problem !== undefined)
        return {
          artifact: { ...here, state: 'broken', proof },
          finding: wrong('artifact_broken', `It came home like this: ${problem}.`, file),
        };
      if (PROOF_LEVELS.indexOf(proof) < PROOF_LEVELS.indexOf(artifact.proof))
        return {
          artifact: { ...here, state: 'broken', proof },
          finding: wrong(
            'artifact_broken',
            `It opens as far as "${proof}" and the receipt says "${artifact.proof}".`,
            file,
          ),
        };
      return { artifact: { ...here, state: 'proven', proof } };
    }
  }
}

const CHUNK_BYTES = 1 << 20;

/** `undefined`: it cannot be read, or is of none of these sizes and so not worth reading. */
async function hashOf(
  file: string,
  sizes: readonly number[],
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    await using handle = await open(file, constants.O_RDONLY | NO_LINK);
    const stats = await handle.stat();
    if (!stats.isFile() || !sizes.includes(stats.size)) return undefined;
    const hash = createHash('sha256');
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await handle.read(chunk, 0, CHUNK_BYTES, null);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(chunk.subarray(0, bytesRead));
    }
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
