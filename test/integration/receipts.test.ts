import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { podIdSchema } from '../../src/core/ids.ts';
import { sealedReceiptSchema, sealOf, sha256Of } from '../../src/core/receipt.ts';
import { createVerifier } from '../../src/files/verify.ts';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { bundled } from '../support/bundle.ts';
import { createLeaseBench } from '../support/lease-bench.ts';
import { openShelf } from '../support/receipt-shelf.ts';

const read = async (folder: string, name: string) =>
  sealedReceiptSchema.parse(JSON.parse(await readFile(path.join(folder, name), 'utf8')));
const jsons = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();

describe('receipts of ended pods', () => {
  it('bind the lease, the code, the GPU, the price, the artifacts and the proof, each to the one before', async () => {
    await using shelf = await openShelf();
    const { bench } = shelf;
    bench.world.gates = [{ gate: 'artifact_not_fetched', path: 'late.pt', why: 'not home' }];
    const podId = await shelf.end(
      { 'out/metrics.json': '{"loss":0.5}' },
      { image: 'pytorch/pytorch:2', env: { LEVEL: 'debug-value' }, secretEnv: ['HF_TOKEN'] },
    );
    bench.world.gates = [];
    await shelf.end();
    const names = await jsons(shelf.receipts);
    expect(names).toEqual([
      expect.stringMatching(/^000001-vast-/),
      expect.stringMatching(/^000002-vast-/),
    ]);
    const first = await read(shelf.receipts, names[0] ?? '');
    const second = await read(shelf.receipts, names[1] ?? '');
    expect(first).toMatchObject({
      sequence: 1,
      kind: 'ended',
      lease: { podId, provider: 'vast', offerId: 'vast:a' },
      environment: { image: 'pytorch/pytorch:2', env: ['LEVEL'], secretEnv: ['HF_TOKEN'] },
      gpuUuids: ['GPU-5f0c-1'],
      cost: { usdPerHour: 0.5 },
      artifacts: [
        {
          path: '/workspace/out/metrics.json',
          bytes: 12,
          sha256: sha256Of('{"loss":0.5}'),
          proof: 'loaded',
        },
      ],
      waiver: { reason: 'kept nothing', by: 'person', gates: [{ path: 'late.pt' }] },
      proof: {
        provider: 'vast',
        verb: 'terminate',
        status: 'gone',
        how: 'Not found by its id and not in the list of vast.',
      },
    });
    expect(first.previous).toBeUndefined();
    expect(first.cost.secondsBilled).toBeGreaterThan(3599);
    for (const value of ['debug-value', 'hidden-hf-value'])
      expect(JSON.stringify(first)).not.toContain(value);
    expect(second).toMatchObject({ sequence: 2, previous: first.sha256, chain: first.chain });
    for (const receipt of [first, second]) expect(sealOf(receipt)).toBe(receipt.sha256);
    const text = await readFile(
      path.join(shelf.receipts, (names[0] ?? '').replace('.json', '.md')),
      'utf8',
    );
    expect(sha256Of(text)).toBe(first.markdownSha256);
    for (const fact of [podId, 'GPU-5f0c-1', 'HF_TOKEN', 'kept nothing', sha256Of('{"loss":0.5}')])
      expect(text).toContain(fact);
  });

  it('are private files, and one that is there is never written again', async () => {
    await using shelf = await openShelf();
    await shelf.end();
    const [name = ''] = await jsons(shelf.receipts);
    const file = path.join(shelf.receipts, name);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(shelf.receipts)).mode & 0o777).toBe(0o700);
    await writeFile(file, 'edited');
    await shelf.end();
    expect(await readFile(file, 'utf8')).toBe('edited');
    expect(await jsons(shelf.receipts)).toHaveLength(2);
  });

  it('that a crash or a full disk kept from the folder are written by the next server', async () => {
    await using shelf = await openShelf();
    await writeFile(path.join(shelf.root, 'state'), 'in the way');
    await shelf.end();
    const log = await shelf.bench.store.log.list();
    expect(log.filter(({ kind }) => kind === 'receipt_not_written')).toHaveLength(1);
    await rm(path.join(shelf.root, 'state'));
    await shelf.bench.pods.reconcile(shelf.bench.options);
    expect(await jsons(shelf.receipts)).toHaveLength(1);
  });

  it('of a pod that was seen again are withdrawn in the chain, and its second end follows', async () => {
    await using shelf = await openShelf();
    const { bench } = shelf;
    const outcome = await bench.create();
    if (outcome.status !== 'ready') throw new Error(outcome.status);
    const destroy = async () =>
      bench.pods.destroy(
        outcome.pod.podId,
        { discardUnfetched: false, waitSeconds: 25 },
        bench.options,
      );
    // The cloud loses sight of it for a while.
    Object.assign(bench.cloud.faults, { terminateFails: 50, getMisses: 50, listMisses: 50 });
    expect((await destroy()).outcome).toBe('gone');
    Object.assign(bench.cloud.faults, { terminateFails: 0, getMisses: 0, listMisses: 0 });
    expect((await destroy()).outcome).toBe('gone');
    const [first, second, third] = await bench.store.chain.list();
    expect([first?.kind, second?.kind, third?.kind]).toEqual(['ended', 'withdrawn', 'ended']);
    expect(second?.supersedes).toBe(first?.sha256);
    expect(third?.supersedes).toBe(second?.sha256);
    expect(await jsons(shelf.receipts)).toHaveLength(3);
  });

  it('hold no secret, in whatever text it stood', async () => {
    await using shelf = await openShelf({
      redact: (text) => text.replaceAll('s3cr3t-value', '[redacted]'),
    });
    await shelf.end({}, { name: 'run s3cr3t-value', image: 'repo/s3cr3t-value:1' });
    const [name = ''] = await jsons(shelf.receipts);
    const file = path.join(shelf.receipts, name);
    const texts = [
      await readFile(file, 'utf8'),
      await readFile(file.replace('.json', '.md'), 'utf8'),
    ];
    for (const text of texts) {
      expect(text).not.toContain('s3cr3t-value');
      expect(text).toContain('[redacted]');
    }
  });

  it('of two servers that end pods at the same time are one chain without a fork', async () => {
    await using shelf = await openShelf();
    await shelf.end();
    const [pattern] = await shelf.bench.store.leases.list();
    if (pattern === undefined) throw new Error('no lease');
    const file = path.join(shelf.root, 'other', 'state.db');
    const folder = path.join(shelf.root, 'other', 'receipts');
    await using store = createSqliteStore({ file });
    const each = 15;
    await store.transaction(async (tx) => {
      for (let at = 0; at < 2 * each; at += 1)
        await tx.leases.put(`lease-${at}`, {
          ...pattern,
          leaseId: `lease-${at}`,
          state: 'closing',
          podId: podIdSchema.parse(`vast:${at}`),
        });
    });
    const program = await bundled('test/support/receipt-process.mjs');
    const children = [0, each].map((first) =>
      spawn(process.execPath, [program, file, folder, String(first), String(each)], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    );
    await Promise.all(children.map(async ({ stdout }) => once(stdout, 'data')));
    const ends = children.map(async (child) => once(child, 'close'));
    for (const { stdin } of children) stdin.write('go\n');
    expect(await Promise.all(ends)).toEqual([
      [0, null],
      [0, null],
    ]);
    const chain = await store.chain.list();
    expect(chain.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 2 * each }, (_none, at) => at + 1),
    );
    // Both took turns: the one did not simply follow the other.
    const owners = chain.map(({ lease }) => Number(lease.podId.split(':')[1]) < each);
    const turns = owners.filter((mine, at) => mine !== owners[at + 1]).length;
    expect(turns).toBeGreaterThan(2);
    const result = await createVerifier().verify(
      { target: folder, chainOnly: true, head: chain.at(-1)?.sha256 },
      { signal: shelf.bench.signal },
    );
    expect(result.findings).toEqual([]);
    expect(result.receipts).toHaveLength(2 * each);
  });

  it('a link that can no longer be read is still the one the next follows', async () => {
    await using shelf = await openShelf();
    const file = path.join(shelf.root, 'other', 'state.db');
    await using store = createSqliteStore({ file });
    await using other = await openShelf({ store });
    await other.end();
    const [first] = await store.chain.list();
    if (first === undefined) throw new Error('no receipt');
    const id = `000000001:${first.sha256}:${first.chain}`;
    // As a version would leave it that knows more.
    await store.chain.put(id, { ...first, sequence: 0 });
    expect(await store.chain.unreadable?.()).toEqual([id]);
    await other.end();
    expect(await store.chain.list()).toMatchObject([
      { sequence: 2, previous: first.sha256, chain: first.chain },
    ]);
  });

  it('of a pod that was given up never say gone, and are never all proven', async () => {
    await using shelf = await openShelf({ cloud: { account: 'console.vast.ai/1' } });
    const { clock, store } = shelf.bench;
    const created = await shelf.bench.create();
    if (created.status !== 'ready') throw new Error(created.status);
    const moved = createLeaseBench({
      store,
      clock,
      receiptsFolder: shelf.receipts,
      cloud: { account: 'console.vast.ai/2' },
    });
    const end = { discardUnfetched: true, reason: 'the account was closed', waitSeconds: 25 };
    expect(await moved.pods.destroy(created.pod.podId, end, moved.options)).toMatchObject({
      outcome: 'unknown',
    });
    expect(await store.chain.list()).toMatchObject([
      { kind: 'given_up', proof: { status: 'unknown', verb: 'none' } },
    ]);
    const [text = ''] = (await readdir(shelf.receipts)).filter((name) => name.endsWith('.md'));
    const said = await readFile(path.join(shelf.receipts, text), 'utf8');
    expect(said).toContain('NOT proven');
    expect(said).not.toMatch(/\bgone\b/);
    const { ok, findings } = await createVerifier().verify(
      { target: shelf.receipts, chainOnly: true },
      { signal: moved.signal },
    );
    expect({ ok, findings }).toMatchObject({ ok: false, findings: [{ finding: 'end_unproven' }] });
  });
});
