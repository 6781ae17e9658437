import { describe, expect, it } from 'vitest';
import type { ArtifactRecord } from '../../../src/core/files.ts';
import { unfetchedOf } from '../../../src/core/unfetched.ts';
import { AT, aJob, JOB, POD } from '../../support/fake-services.ts';

const home = (remotePath: string, changes: Partial<ArtifactRecord> = {}): ArtifactRecord => ({
  artifactId: remotePath,
  podId: POD,
  jobId: JOB,
  remotePath,
  localPath: '/home/me/x',
  bytes: 1,
  sha256: 'a'.repeat(64),
  proof: 'hash',
  fetchedAt: AT,
  ...changes,
});

describe('declared outputs that are not home', () => {
  it.each([
    ['final.bin', '/workspace/final.bin', true],
    ['final.bin', '/workspace/final_bin', false],
    ['final.bin', '/workspace/sub/final.bin', false],
    ['./out/', '/workspace/out/a/b.txt', true],
    ['out/*.pt', '/workspace/out/a.pt', true],
    ['out/*.pt', '/workspace/out/sub/a.pt', false],
    ['out/**/*.pt', '/workspace/out/a.pt', true],
    ['out/**/*.pt', '/workspace/out/x/y/a.pt', true],
    ['run-?', '/workspace/run-1', true],
    ['run-?', '/workspace/run-10', false],
    ['/data/m.bin', '/data/m.bin', true],
    ['a[1](x)+.txt', '/workspace/a[1](x)+.txt', true],
    ['with\nnewline', '/workspace/with\nnewline', true],
  ])('%j is there when %j came home: %s', (declared, remotePath, covered) => {
    const job = aJob({ artifacts: [declared] });
    expect(unfetchedOf([job], [home(remotePath)]).length).toBe(covered ? 0 : 1);
  });

  it('are not home while a fetch had to leave something of them on the pod [TD-01]', () => {
    const job = aJob({ artifacts: ['out/**', 'other'] });
    const came = home('/workspace/out/a', { heldBack: ['/workspace/out/link'] });
    const other = home('/workspace/other');
    const open = [{ jobId: JOB, path: 'out/**' }];
    expect(unfetchedOf([job], [came, other])).toEqual(open);
    // Names without a path stand for their pattern; who asked for them is no matter.
    const ofAnother = home('/workspace/x', {
      jobId: 'job_zzzzzzzzzzzz' as typeof JOB,
      heldBack: ['/workspace/out/**'],
    });
    expect(unfetchedOf([job], [home('/workspace/out/a'), ofAnother, other])).toEqual(open);
    expect(unfetchedOf([job], [home('/workspace/out/a'), other])).toEqual([]);
  });

  it('counts per job and per pod', () => {
    const job = aJob({ artifacts: ['a', 'b'] });
    const other = 'job_zzzzzzzzzzzz' as typeof JOB;
    expect(unfetchedOf([job], [])).toEqual([
      { jobId: JOB, path: 'a' },
      { jobId: JOB, path: 'b' },
    ]);
    expect(unfetchedOf([job], [home('/workspace/a', { jobId: other })]).length).toBe(2);
    expect(
      unfetchedOf([job], [home('/workspace/a', { podId: 'vast:9' as typeof POD })]).length,
    ).toBe(2);
  });
});
