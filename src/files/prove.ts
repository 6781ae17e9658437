import path from 'node:path';
import type { Proof } from '../core/files.ts';
import { type Neighbour, neighboursOf } from './proof/beside.ts';
import { Broken, type Bytes, broken, openBytes, Unchecked } from './proof/bytes.ts';
import { proveBzip2 } from './proof/bzip2.ts';
import { proveGguf } from './proof/gguf.ts';
import { proveGzip } from './proof/gzip.ts';
import { proveHdf5 } from './proof/hdf5.ts';
import { proveJpeg, provePng } from './proof/image.ts';
import { proveGif, proveMp4, provePdf, proveWav, proveWebp } from './proof/media.ts';
import { proveNpy, proveNpz } from './proof/numpy.ts';
import { proveOnnx } from './proof/onnx.ts';
import { proveXz, proveZstd } from './proof/packed.ts';
import { proveParquet } from './proof/parquet.ts';
import { proveArrow, proveRecords } from './proof/records.ts';
import { proveSafetensors } from './proof/safetensors.ts';
import { proveSqlite } from './proof/sqlite.ts';
import { proveTable } from './proof/table.ts';
import { proveTar } from './proof/tar.ts';
import { proveJson, proveJsonLines, proveText } from './proof/text.ts';
import { proveTorch } from './proof/torch.ts';
import { provePickle } from './proof/torch-legacy.ts';
import { checkAdapter, proveAdapterConfig, proveIndex } from './proof/weights.ts';
import { proveZip } from './proof/zip.ts';

interface Place {
  readonly name: string;
  readonly neighbour: Neighbour;
}
/** Reads one file and answers how far it opens. Throws `Broken` for what its type forbids. Never runs anything. */
type Prover = (bytes: Bytes, limit: Proof, place: Place) => Promise<'structure' | 'loaded'>;

/** These hold tensors or are worthless; a scheduler or the arguments of a run may hold none. */
const WEIGHTS_NAME =
  /^(?:(?:pytorch_|adapter_|diffusion_pytorch_)?model|weights|checkpoint|best|last)(?![a-z])/;

const proveTorchFile: Prover = async (bytes, limit, { name }) =>
  proveTorch(bytes, { limit, needsTensor: WEIGHTS_NAME.test(name) });
const proveWeights: Prover = async (bytes, limit, { name }) => {
  const reached = await proveSafetensors(bytes, limit);
  if (name === 'adapter_model.safetensors' && reached === 'loaded') await checkAdapter(bytes);
  return reached;
};

const BY_EXTENSION: Readonly<Record<string, Prover>> = {
  '.safetensors': proveWeights,
  '.pt': proveTorchFile,
  '.pth': proveTorchFile,
  '.ckpt': proveTorchFile,
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
  '.pkl': async (bytes) => provePickle(bytes),
  '.pickle': async (bytes) => provePickle(bytes),
  '.joblib': async (bytes) => provePickle(bytes),
  '.h5': proveHdf5,
  '.hdf5': proveHdf5,
  '.onnx': async (bytes, _limit, { neighbour }) => proveOnnx(bytes, neighbour),
  '.zst': proveZstd,
  '.xz': proveXz,
  '.bz2': proveBzip2,
  '.mp4': proveMp4,
  '.m4v': proveMp4,
  '.mov': proveMp4,
  '.wav': proveWav,
  '.webp': proveWebp,
  '.gif': proveGif,
  '.pdf': provePdf,
  '.arrow': proveArrow,
  '.feather': proveArrow,
  '.tfrecord': proveRecords,
};
/** TensorBoard's logs have the host and a number behind this. */
const EVENTS = 'events.out.tfevents.';
const INDEX = /\.(?:safetensors|bin)\.index\.json$/;
const ADAPTER_CONFIG = 'adapter_config.json';
/** Torch weights by these names; any other `.bin` may be anything. */
const TORCH_BIN =
  /^(?:pytorch_model|adapter_model|optimizer|scheduler|training_args|model|diffusion_pytorch_model).*\.bin$/;

/** Whether the verdict on a file depends on others beside it too, so that it holds only as long as they do. */
export function looksAround(file: string): boolean {
  const name = path.basename(file).toLowerCase();
  return INDEX.test(name) || name === ADAPTER_CONFIG || name.endsWith('.onnx');
}

function proverOf(name: string): Prover | undefined {
  if (INDEX.test(name)) return async (bytes, _limit, place) => proveIndex(bytes, place.neighbour);
  if (name === ADAPTER_CONFIG)
    return async (bytes, _limit, place) => proveAdapterConfig(bytes, place.neighbour);
  if (name.startsWith(EVENTS)) return proveRecords;
  return TORCH_BIN.test(name) ? proveTorchFile : BY_EXTENSION[path.extname(name)];
}

/**
 * The level of proof that a file of this machine reaches, at most `limit`, and what is wrong with it. Its bytes are known
 * to be the pod's, so the least answer is `hash`. Types that only a program of the pod can open, pickles among them, stay
 * at `hash` or `structure`, and so does what is too large or too unusual to be judged here.
 */
export async function prove(
  file: string,
  options: { readonly limit: Proof; readonly signal: AbortSignal },
): Promise<{ readonly proof: Proof; readonly problem?: string }> {
  const name = path.basename(file).toLowerCase();
  const prover = proverOf(name);
  if (prover === undefined) return { proof: 'hash' };
  await using bytes = await openBytes(file, options.signal);
  try {
    if (bytes.size === 0 && !/\.(?:txt|log|md)$/.test(name)) throw broken('the file is empty');
    const neighbour = neighboursOf(file, options.signal);
    const reached = await prover(bytes, options.limit, { name, neighbour });
    return { proof: options.limit === 'structure' ? 'structure' : reached };
  } catch (thrown) {
    options.signal.throwIfAborted();
    if (thrown instanceof Unchecked) return { proof: 'hash' };
    if (thrown instanceof Broken) return { proof: 'hash', problem: thrown.message };
    throw thrown;
  }
}
