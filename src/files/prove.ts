import path from 'node:path';
import type { Proof } from '../core/files.ts';
import { Broken, type Bytes, broken, openBytes } from './proof/bytes.ts';
import { proveGguf } from './proof/gguf.ts';
import { proveGzip } from './proof/gzip.ts';
import { proveJpeg, provePng } from './proof/image.ts';
import { proveNpy, proveNpz } from './proof/numpy.ts';
import { proveParquet } from './proof/parquet.ts';
import { proveSafetensors } from './proof/safetensors.ts';
import { proveSqlite } from './proof/sqlite.ts';
import { proveTable } from './proof/table.ts';
import { proveTar } from './proof/tar.ts';
import { proveJson, proveJsonLines, proveText } from './proof/text.ts';
import { proveTorch } from './proof/torch.ts';
import { proveZip } from './proof/zip.ts';

/** Reads one file and answers how far it opens. Throws `Broken` for what its type forbids. Never runs anything. */
type Prover = (
  bytes: Bytes,
  limit: Proof,
) => Promise<Extract<Proof, 'hash' | 'structure' | 'loaded'>>;

const BY_EXTENSION: Readonly<Record<string, Prover>> = {
  '.safetensors': proveSafetensors,
  '.pt': proveTorch,
  '.pth': proveTorch,
  '.ckpt': proveTorch,
  '.gguf': proveGguf,
  '.npy': proveNpy,
  '.npz': proveNpz,
  '.json': proveJson,
  '.ipynb': proveJson,
  '.jsonl': proveJsonLines,
  '.ndjson': proveJsonLines,
  '.csv': proveTable(','),
  '.tsv': proveTable('\t'),
  '.txt': proveText,
  '.log': proveText,
  '.md': proveText,
  '.gz': proveGzip,
  '.tgz': proveGzip,
  '.tar': proveTar,
  '.zip': proveZip,
  '.png': provePng,
  '.jpg': proveJpeg,
  '.jpeg': proveJpeg,
  '.parquet': proveParquet,
  '.sqlite': proveSqlite,
  '.sqlite3': proveSqlite,
};
/** Torch weights by these names; any other `.bin` may be anything. */
const TORCH_BIN =
  /^(?:pytorch_model|adapter_model|optimizer|scheduler|training_args|model|diffusion_pytorch_model).*\.bin$/;

/**
 * The level of proof that a file of this machine reaches, at most `limit`, and what is wrong with it. Its bytes are known
 * to be the pod's, so the least answer is `hash`. Types that only a program of the pod can open, pickles among them, stay
 * at `hash` or `structure`.
 */
export async function prove(
  file: string,
  options: { readonly limit: Proof; readonly signal: AbortSignal },
): Promise<{ readonly proof: Proof; readonly problem?: string }> {
  const name = path.basename(file).toLowerCase();
  const prover = TORCH_BIN.test(name) ? proveTorch : BY_EXTENSION[path.extname(name)];
  if (prover === undefined) return { proof: 'hash' };
  await using bytes = await openBytes(file, options.signal);
  try {
    if (bytes.size === 0 && !/\.(?:txt|log|md)$/.test(name)) throw broken('the file is empty');
    const reached = await prover(bytes, options.limit);
    return { proof: options.limit === 'structure' && reached === 'loaded' ? 'structure' : reached };
  } catch (thrown) {
    options.signal.throwIfAborted();
    if (thrown instanceof Broken) return { proof: 'hash', problem: thrown.message };
    throw thrown;
  }
}
