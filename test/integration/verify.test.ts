import { execFileSync } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  canonicalJson,
  receiptText,
  type SealedReceipt,
  sealedReceiptSchema,
  sealOf,
  type Verification,
  type VerifyRequest,
} from '../../src/core/receipt.ts';
import { createVerifier } from '../../src/files/verify.ts';
import { aJob, JOB } from '../support/fake-services.ts';
import { fc } from '../support/property.ts';
import { openShelf, type Shelf } from '../support/receipt-shelf.ts';

const { signal } = new AbortController();
const verify = async (
  { work }: Pick<Shelf, 'work'>,
  target: string,
  request: Partial<VerifyRequest> = {},
): Promise<Verification> =>
  createVerifier().verify({ target, files: work, chainOnly: false, ...request }, { signal });
const kinds = ({ findings }: Verification): readonly string[] =>
  findings.map(({ finding }) => finding).sort();
const namesIn = async (folder: string, ending = '.json'): Promise<string[]> =>
  (await readdir(folder)).filter((name) => name.endsWith(ending)).sort();
const readAt = async (shelf: Shelf, at: number): Promise<[string, SealedReceipt]> => {
  const file = path.join(shelf.receipts, (await namesIn(shelf.receipts))[at] ?? '');
  return [file, sealedReceiptSchema.parse(JSON.parse(await readFile(file, 'utf8')))];
};
/** What a forger does who knows how receipts are made. */
const resealed = (receipt: SealedReceipt, change: Partial<SealedReceipt>): string => {
  const forged = { ...receipt, ...change };
  return receiptText({ ...forged, sha256: sealOf(forged) });
};

describe('a chain of receipts', () => {
  it('with its files is all proven, from any of its receipts and from its folder', async () => {
    await using shelf = await openShelf();
    await shelf.end({ 'a/metrics.json': '{"loss":0.5}', 'a/x.dat': Buffer.from([0, 1, 2]) });
    await shelf.end({ 'b/metrics.json': '[1]' });
    await shelf.end();
    const [second] = await readAt(shelf, 1);
    for (const target of [
      shelf.receipts,
      path.dirname(shelf.receipts),
      second,
      second.replace('.json', '.md'),
    ]) {
      const result = await verify(shelf, target);
      expect(result.findings).toEqual([]);
      expect(result.ok).toBe(true);
      expect(result.receipts.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
      const isNamed = target.startsWith(second.replace('.json', ''));
      expect(result.receipts[0]?.artifacts).toMatchObject(
        isNamed
          ? []
          : [
              { path: '/workspace/a/metrics.json', state: 'proven', proof: 'loaded' },
              { path: '/workspace/a/x.dat', state: 'proven', proof: 'hash' },
            ],
      );
      expect(result.receipts[1]?.artifacts).toMatchObject([{ state: 'proven' }]);
    }
  });

  it('says what it cannot prove', async () => {
    await using shelf = await openShelf();
    await shelf.end({ 'x.dat': 'x' });
    const { notChecked } = await verify(shelf, shelf.receipts);
    expect(notChecked).toEqual([
      expect.stringContaining('provider was not asked again'),
      expect.stringContaining('not signed'),
      expect.stringContaining('only their bytes are proven'),
    ]);
  });

  it('names a missing link, a replaced one, two at one place and two that changed places', async () => {
    await using shelf = await openShelf();
    for (let turn = 0; turn < 4; turn += 1) await shelf.end();
    const [one, first] = await readAt(shelf, 0);
    const [two, second] = await readAt(shelf, 1);
    const [three] = await readAt(shelf, 2);
    const keep = `${shelf.root}/keep`;
    await cp(shelf.receipts, keep, { recursive: true });
    const tried = async (change: () => Promise<void>): Promise<readonly string[]> => {
      await change();
      const found = kinds(await verify(shelf, shelf.receipts));
      await rm(shelf.receipts, { recursive: true });
      await cp(keep, shelf.receipts, { recursive: true });
      return found;
    };
    expect(await tried(async () => rm(two))).toEqual(['missing']);
    expect(await tried(async () => rm(one))).toEqual(['missing']);
    // Rewritten, with a hash that fits: the next one knows better.
    const cheaper = { cost: { ...second.cost, estimatedUsd: 0 } };
    expect(await tried(async () => writeFile(two, resealed(second, cheaper)))).toEqual(['edited']);
    const twin = path.join(shelf.receipts, '000002-twin.json');
    expect(await tried(async () => writeFile(twin, resealed(second, cheaper)))).toEqual([
      'forked',
      'forked',
    ]);
    // A copy of the same receipt is none.
    expect(await tried(async () => cp(two, twin))).toEqual([]);
    expect(
      await tried(async () => {
        await rename(two, `${two}.x`);
        await rename(three, two);
        await rename(`${two}.x`, three);
      }),
    ).toEqual(['edited', 'edited', 'reordered', 'reordered']);
    const swapped = { previous: (await readAt(shelf, 3))[1].sha256 };
    expect(await tried(async () => writeFile(two, resealed(second, swapped)))).toContain(
      'reordered',
    );
    expect(
      await tried(async () => writeFile(one, resealed(first, { previous: second.sha256 }))),
    ).toContain('edited');
  });

  it('that lost its newest receipt, or was rewritten to its end, shows against a hash kept elsewhere', async () => {
    await using shelf = await openShelf();
    await shelf.end();
    await shelf.end();
    const [file, last] = await readAt(shelf, 1);
    expect(kinds(await verify(shelf, shelf.receipts, { head: last.sha256 }))).toEqual([]);
    await writeFile(file, resealed(last, { writtenAt: '2020-01-01T00:00:00.000Z' }));
    expect(kinds(await verify(shelf, shelf.receipts))).toEqual([]);
    expect(kinds(await verify(shelf, shelf.receipts, { head: last.sha256 }))).toEqual(['head']);
    await rm(file);
    expect(kinds(await verify(shelf, shelf.receipts, { head: last.sha256 }))).toEqual(['head']);
  });

  it('a receipt that lies alone is proven by itself, and its place is told as not proven', async () => {
    await using shelf = await openShelf();
    await shelf.end();
    await shelf.end({ 'x.json': '1' });
    const [file] = await readAt(shelf, 1);
    const alone = path.join(shelf.root, 'alone');
    await mkdir(alone);
    await cp(file, path.join(alone, 'mine.json'));
    const result = await verify(shelf, path.join(alone, 'mine.json'));
    expect(result).toMatchObject({ ok: true, receipts: [{ artifacts: [{ state: 'proven' }] }] });
    expect(result.notChecked.join()).toContain('Receipt 2 lies here alone');
    await expect(verify(shelf, alone)).rejects.toMatchObject({ code: 'path_missing' });
  });

  it('finds any byte that changed, in a receipt, its text or a file', async () => {
    await using shelf = await openShelf();
    await shelf.end({ 'a/metrics.json': '{"loss":0.5,"note":"ä"}', 'x.dat': Buffer.alloc(64, 7) });
    await shelf.end();
    const files = [
      ...(await namesIn(shelf.receipts)).map((name) => path.join(shelf.receipts, name)),
      ...(await namesIn(shelf.receipts, '.md')).map((name) => path.join(shelf.receipts, name)),
      path.join(shelf.work, 'a/metrics.json'),
      path.join(shelf.work, 'x.dat'),
    ];
    const whole = await Promise.all(files.map(async (file) => readFile(file)));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(files.length - 1),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        fc.constantFrom('flip', 'drop', 'add'),
        async (which, where, bits, how) => {
          const file = files[which] ?? '';
          const bytes = whole[which] ?? Buffer.alloc(0);
          const at = where % bytes.length;
          const end = how === 'add' ? at : at + 1;
          const middle = how === 'drop' ? [] : [(bytes[at] ?? 0) ^ bits];
          await writeFile(
            file,
            Buffer.concat([bytes.subarray(0, at), Buffer.from(middle), bytes.subarray(end)]),
          );
          const { ok, findings } = await verify(shelf, shelf.receipts);
          await writeFile(file, bytes);
          expect({ ok, named: findings.some((finding) => finding.file === file) }).toEqual({
            ok: false,
            named: true,
          });
        },
      ),
      { numRuns: 400 },
    );
    expect((await verify(shelf, shelf.receipts)).ok).toBe(true);
  });

  it('finds every field that was changed', async () => {
    await using shelf = await openShelf();
    shelf.bench.world.gates = [{ gate: 'artifact_not_fetched', path: 'late.pt', why: 'not home' }];
    await shelf.end({ 'x.dat': 'x' }, { env: { A: 'b' }, ports: ['8080/http'] });
    const [file, receipt] = await readAt(shelf, 0);
    const paths = leavesOf(receipt);
    expect(paths.length).toBeGreaterThan(35);
    for (const leaf of paths) {
      await writeFile(file, `${canonicalJson(withChanged(receipt, leaf))}\n`);
      const { ok, findings } = await verify(shelf, shelf.receipts);
      expect({ ok, leaf, files: findings.map((one) => one.file) }).toMatchObject({
        ok: false,
        files: expect.arrayContaining([file]) as unknown,
      });
    }
  });
});

describe('files that receipts name', () => {
  it('missing, changed, extra and broken are each told', async () => {
    await using shelf = await openShelf();
    await shelf.end({ 'out/a.dat': 'a', 'out/b.dat': 'b', 'out/c.json': '{"cut":' });
    const out = path.join(shelf.work, 'out');
    await rm(path.join(out, 'a.dat'));
    await writeFile(path.join(out, 'b.dat'), 'B');
    await writeFile(path.join(out, 'd.dat'), 'd');
    for (const files of [out, shelf.work])
      expect(kinds(await verify(shelf, shelf.receipts, { files }))).toEqual([
        'artifact_broken',
        'artifact_changed',
        'artifact_extra',
        'artifact_missing',
      ]);
    expect(kinds(await verify(shelf, shelf.receipts, { chainOnly: true }))).toEqual([]);
  });

  it('in a project, only what lies with artifacts can be taken for one [AR-05]', async () => {
    await using shelf = await openShelf();
    await shelf.end({ 'results/a.dat': 'a', 'top.dat': 't' });
    const put = async (name: string): Promise<string> => {
      const file = path.join(shelf.work, name);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, name);
      return file;
    };
    await put('src/train.py');
    await put('node_modules/one/index.js');
    expect(await verify(shelf, shelf.receipts)).toMatchObject({ ok: true, findings: [] });
    const wanted = [await put('beside.py'), await put('results/old/step-9.pt')];
    const { findings } = await verify(shelf, shelf.receipts);
    expect(findings.map(({ file }) => file).sort()).toEqual(wanted.sort());
  });

  it('more than are listed are counted', async () => {
    await using shelf = await openShelf();
    await shelf.end({ 'out/a.dat': 'a' });
    for (let at = 0; at < 1010; at += 1)
      await writeFile(path.join(shelf.work, 'out', `${at}.log`), '');
    const { findings, moreExtra } = await verify(shelf, shelf.receipts);
    expect(findings.length).toBe(1000);
    expect(moreExtra).toBe(10);
  });

  it('are found where they were moved to, with their receipts', async () => {
    await using shelf = await openShelf();
    await shelf.end({ 'run/one/a.dat': 'a', 'run/two/a.dat': 'b', 'run/c.json': '1' });
    const parcel = path.join(shelf.root, 'parcel');
    await rename(path.join(shelf.work, 'run'), parcel);
    expect(kinds(await verify(shelf, shelf.receipts))).toEqual([
      'artifact_missing',
      'artifact_missing',
      'artifact_missing',
    ]);
    expect(await verify(shelf, shelf.receipts, { files: parcel })).toMatchObject({ ok: true });
    await cp(shelf.receipts, path.join(parcel, 'receipts'), { recursive: true });
    expect(await verify(shelf, parcel, { files: undefined })).toMatchObject({
      ok: true,
      receipts: [{ artifacts: [{ state: 'proven' }, { state: 'proven' }, { state: 'proven' }] }],
    });
  });

  describe('that were rescued lie apart from those that were fetched', () => {
    const RESCUED = '../state/rescued/vast-1000/job_aaaabbbbcccc/out/b.dat';
    const both = async (shelf: Shelf): Promise<void> => {
      await shelf.end({ 'results/a.dat': 'a', [RESCUED]: 'b' });
    };
    const ok = { ok: true, receipts: [{ artifacts: [{ state: 'proven' }, { state: 'proven' }] }] };

    it('and are found beside the folder of the receipts, whatever other folder is given', async () => {
      await using shelf = await openShelf();
      await both(shelf);
      const [file] = await readAt(shelf, 0);
      for (const target of [shelf.receipts, file])
        expect(await verify(shelf, target)).toMatchObject(ok);
      expect(kinds(await verify(shelf, shelf.receipts, { files: undefined }))).toEqual([
        'artifact_elsewhere',
      ]);
    });

    it('and in several folders that both moved to', async () => {
      await using shelf = await openShelf();
      await both(shelf);
      const parcel = path.join(shelf.root, 'parcel');
      await mkdir(parcel);
      await rename(path.join(shelf.work, 'results'), path.join(parcel, 'results'));
      await rename(path.join(shelf.root, 'state', 'rescued'), path.join(parcel, 'saved'));
      const only = [path.join(parcel, 'results')];
      const missing = await verify(shelf, shelf.receipts, { files: only });
      expect(missing.findings).toMatchObject([
        {
          finding: 'artifact_missing',
          file: path.join(
            shelf.root,
            'state',
            'rescued',
            'vast-1000',
            'job_aaaabbbbcccc',
            'out',
            'b.dat',
          ),
          why: expect.stringContaining('give its folder with --files too') as string,
        },
      ]);
      const files = [...only, path.join(parcel, 'saved')];
      expect(await verify(shelf, shelf.receipts, { files })).toMatchObject(ok);
      await writeFile(
        path.join(parcel, 'saved', 'vast-1000', 'job_aaaabbbbcccc', 'out', 'b.dat'),
        'B',
      );
      expect(kinds(await verify(shelf, shelf.receipts, { files }))).toEqual(['artifact_changed']);
    });

    it('and what the receipts name as not home is counted', async () => {
      await using shelf = await openShelf();
      const outcome = await shelf.bench.create({ ttlMinutes: 60 });
      if (outcome.status !== 'ready') throw new Error(outcome.status);
      const { podId } = outcome.pod;
      await shelf.bench.store.jobs.put(JOB, aJob({ podId, artifacts: ['a.pt', 'b.pt'] }));
      shelf.bench.clock.advance(7200);
      await shelf.bench.pods.list({ includeEnded: false }, shelf.bench.options);
      const { ok, notChecked } = await verify(shelf, shelf.receipts);
      expect(ok).toBe(true);
      expect(notChecked).toContain('Outputs that the receipts themselves name as not home: 2.');
    });

    it('and a link in the place of their folder is not followed', async () => {
      await using shelf = await openShelf();
      await both(shelf);
      const rescued = path.join(shelf.root, 'state', 'rescued');
      await rename(rescued, path.join(shelf.root, 'outside'));
      await symlink(path.join(shelf.root, 'outside'), rescued);
      expect(kinds(await verify(shelf, shelf.receipts))).toEqual(['artifact_missing']);
    });
  });

  it('a file that a later receipt replaced is told as replaced, not as wrong', async () => {
    await using shelf = await openShelf();
    await shelf.end({ 'out/a.dat': 'old' });
    await shelf.end({ 'out/a.dat': 'newer' });
    const result = await verify(shelf, shelf.receipts);
    expect(result.ok).toBe(true);
    expect(result.receipts.map(({ artifacts }) => artifacts[0]?.state)).toEqual([
      'replaced',
      'proven',
    ]);
  });

  it('outside the folders that were named are never read, whatever a receipt says', async () => {
    await using shelf = await openShelf();
    await shelf.end({ 'a.dat': 'a' });
    const [file, receipt] = await readAt(shelf, 0);
    const outside = path.join(shelf.root, 'outside.dat');
    await writeFile(outside, 'a');
    await symlink(outside, path.join(shelf.work, 'link.dat'));
    execFileSync('mkfifo', [path.join(shelf.work, 'pipe.dat')]);
    const [artifact] = receipt.artifacts;
    if (artifact === undefined) throw new Error('no artifact');
    const naming = async (localPath: string, request: Partial<VerifyRequest> = {}) => {
      await writeFile(file, resealed(receipt, { artifacts: [{ ...artifact, localPath }] }));
      return kinds(await verify(shelf, file, request));
    };
    const unnamed = { files: undefined };
    for (const wish of [outside, `${shelf.work}/../outside.dat`, '../outside.dat']) {
      expect(await naming(wish, unnamed)).toEqual(['artifact_elsewhere']);
      expect(await naming(wish)).toEqual(['artifact_missing']);
    }
    expect(await naming(`${shelf.work}/a.dat`, unnamed)).toEqual(['artifact_elsewhere']);
    expect(await naming(`${shelf.work}/link.dat`)).toEqual(['artifact_changed']);
    expect(await naming(`${shelf.work}/pipe.dat`)).toEqual(['artifact_changed']);
    // The link and the pipe lie beside it, and nobody vouches for them.
    const beside = ['artifact_extra', 'artifact_extra'];
    expect(await naming(`${shelf.work}/a.dat`)).toEqual(beside);
  });

  it('receipts that are links, pipes, huge depths or no JSON are told and harm nothing', async () => {
    await using shelf = await openShelf();
    await shelf.end();
    const put = (name: string): string => path.join(shelf.receipts, name);
    await writeFile(put('000002-deep.json'), `${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    await writeFile(put('000003-nest.json'), `{"a":${'{"a":'.repeat(500)}1${'}'.repeat(501)}`);
    await writeFile(put('000004-none.json'), 'no JSON');
    await symlink((await readAt(shelf, 0))[0], put('000005-link.json'));
    execFileSync('mkfifo', [put('000006-pipe.json')]);
    await mkdir(put('000007-folder.json'));
    const result = await verify(shelf, shelf.receipts);
    expect(kinds(result)).toEqual(Array.from({ length: 6 }, () => 'unreadable'));
    expect(result.receipts).toHaveLength(1);
  });
});

/** The way to every value in it that is not an object or a list. */
function leavesOf(value: unknown, way: readonly string[] = []): (readonly string[])[] {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([name, field]) => leavesOf(field, [...way, name]))
    : [way];
}

function withChanged(value: unknown, [name, ...way]: readonly string[]): unknown {
  if (name === undefined)
    return typeof value === 'string' ? `${value}x` : typeof value === 'number' ? value + 1 : !value;
  const copy: unknown = structuredClone(value);
  const fields = copy as Record<string, unknown>;
  fields[name] = withChanged(fields[name], way);
  return fields;
}
