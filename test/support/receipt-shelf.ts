import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Proof } from '../../src/core/files.ts';
import type { PodId } from '../../src/core/ids.ts';
import type { Terms } from '../../src/core/lease.ts';
import type { Store } from '../../src/core/store.ts';
import { createLeaseBench, type LeaseBench } from './lease-bench.ts';

export interface Shelf extends AsyncDisposable {
  /** A temporary folder; `receipts` and `work` lie in it. */
  readonly root: string;
  readonly receipts: string;
  readonly work: string;
  readonly bench: LeaseBench;
  /** Rents a pod, brings these files home from it and destroys it. */
  end(files?: Readonly<Record<string, string | Buffer>>, terms?: Partial<Terms>): Promise<PodId>;
}

/** Receipts as a lease leaves them, over a fake cloud, with real files. */
export async function openShelf(
  options: { readonly store?: Store; readonly redact?: (text: string) => string } = {},
): Promise<Shelf> {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'gl-receipts-')));
  const receipts = path.join(root, 'state', 'receipts');
  const work = path.join(root, 'work');
  await mkdir(work);
  const bench = createLeaseBench({
    limits: { autoApproveUsd: 100 },
    receiptsFolder: receipts,
    secrets: { HF_TOKEN: 'hidden-hf-value' },
    ...options,
  });
  bench.world.gpuLines = ['NVIDIA GeForce RTX 4090, 24564\ngpuUuid=GPU-5f0c-1'];
  return {
    root,
    receipts,
    work,
    bench,
    async end(files = {}, terms = {}) {
      const outcome = await bench.create(terms);
      if (outcome.status !== 'ready') throw new Error(outcome.status);
      const { podId } = outcome.pod;
      for (const [name, content] of Object.entries(files)) {
        const localPath = path.join(work, name);
        await mkdir(path.dirname(localPath), { recursive: true });
        await writeFile(localPath, content);
        const remotePath = `/workspace/${name}`;
        const proof: Proof = name.endsWith('.json') ? 'loaded' : 'hash';
        await bench.store.artifacts.put(`${podId}:${remotePath}`, {
          artifactId: `${podId}:${remotePath}`,
          podId,
          remotePath,
          localPath,
          bytes: Buffer.byteLength(content),
          sha256: createHash('sha256').update(content).digest('hex'),
          proof,
          fetchedAt: bench.clock.now().toISOString(),
        });
      }
      bench.clock.advance(3600);
      const end = await bench.pods.destroy(
        podId,
        { discardUnfetched: true, reason: 'kept nothing', waitSeconds: 25 },
        bench.options,
      );
      if (end.outcome !== 'gone') throw new Error(end.outcome);
      return podId;
    },
    [Symbol.asyncDispose]: async () => rm(root, { recursive: true, force: true }),
  };
}
