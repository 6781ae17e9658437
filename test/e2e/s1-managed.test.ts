import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { listAt, numberAt, sandbox, textAt } from '../support/built-server.ts';
import { finished, gone, opened } from '../support/day.ts';
import { CLIENTS, clientOf } from '../support/e2e-client.ts';
import { startRunpodSandbox } from '../support/runpod-sandbox.ts';
import { becomesReady } from '../support/vast-client.ts';

const LONG = 120_000;

describe.concurrent.each(CLIENTS)('the managed lane on RunPod, step by step, by %s', (kind) => {
  it(
    'availability, consent, a job that nobody watches, logs, files, keep or end, report',
    async () => {
      await using cloud = await startRunpodSandbox({ speed: 60, offers: 60 });
      await using box = await sandbox();
      await using client = await clientOf(kind, box, {
        ...cloud.variables,
        WANDB_MODE: 'offline-and-quiet',
      });
      await client.call('doctor', { fix: 'generate_ssh_key' });

      // A reading at a time, not a reservation, and of the GPU that was asked for only.
      const found = await client.call('find_offer', {
        providers: ['runpod'],
        gpu: ['RTX 4090'],
        diskGb: 20,
        minReliability: 0,
      });
      expect(textAt(found, 'snapshotAt'), '[OF-09]').toMatch(/^\d{4}-/);
      for (const offer of listAt(found, 'offers'))
        expect(textAt(offer, 'gpu'), '[MO-19]').toContain('4090');

      // Nothing is rented before a yes; the user sees price, most and deadline.
      const offerIds = listAt(found, 'offers')
        .slice(0, 2)
        .map((offer) => textAt(offer, 'offerId'));
      const quoted = await client.call('create_pod', {
        offerIds,
        diskGb: 20,
        secretEnv: ['WANDB_MODE'],
        ttlMinutes: 120,
        budgetUsd: 3,
      });
      expect(quoted, '[MO-01]').toMatchObject({ status: 'needs_confirmation' });
      expect(cloud.books().instances).toEqual([]);
      const created = await client.call('create_pod', {
        quoteId: textAt(quoted, 'quote.quoteId'),
        waitSeconds: 45,
      });
      const pod = await becomesReady(client, textAt(created, 'pod.podId'));
      const podId = textAt(pod, 'podId');
      expect(cloud.books().billingCount, '[OF-08]').toBe(1);

      // The job: names of variables only, an answer at once, never two of it.
      const project = path.join(box.workspace, 'project');
      await mkdir(project);
      await writeFile(
        path.join(project, 'train.sh'),
        'echo "step 1/2"; echo trouble >&2; mkdir -p out; echo 0.5 > out/loss.txt; echo "step 2/2"\n',
      );
      await client.call('sync_files', { podId, localPath: 'project', remotePath: 'project' });
      const start = {
        podId,
        command: 'sh train.sh; test "$WANDB_MODE" = offline-and-quiet',
        cwd: 'project',
        secretEnv: ['WANDB_MODE'],
        artifacts: ['out/loss.txt', 'out/model.bin'],
      };
      const missingName = await client.tool('job_start', { ...start, secretEnv: ['NOT_SET_HERE'] });
      expect(missingName, '[SC-01]').toMatchObject({ isError: true });
      expect(textAt(missingName.data, 'message')).toContain('NOT_SET_HERE');
      const started = await client.call('job_start', start);
      const jobId = textAt(started, 'jobId');
      expect(jobId, '[JO-01] [MO-05]').toMatch(/^job_/);
      const done = await finished(client, jobId);
      expect(done).toMatchObject({ status: 'completed', exitCode: 0 });

      // All four streams, each told with the state of the job.
      for (const [stream, text] of [
        ['stdout', 'step 2/2'],
        ['stderr', 'trouble'],
        ['bootstrap', ''],
        ['supervisor', ''],
      ] as const) {
        const log = await client.call('job_logs', { jobId, stream });
        expect(textAt(log, 'output'), '[TR-06]').toContain(text);
        expect(textAt(log, 'summary'), '[JO-22]').toContain('completed');
      }

      // Both lists; what is missing is said, and guards the pod.
      const home = await client.call('fetch_artifacts', { jobId, localPath: 'results' });
      expect(home, '[AR-09]').toMatchObject({
        manifest: { files: [{ path: 'out/loss.txt' }] },
        missing: ['out/model.bin'],
      });
      const sessionId = await opened(client, podId);
      expect(await client.call('destroy', { podId })).toMatchObject({
        outcome: 'blocked',
        missing: [{ gate: 'artifact_not_fetched', path: 'out/model.bin' }],
      });

      // Keep or end: what an hour costs, until when, and the one step that is left.
      const before = await client.call('report', { podId });
      expect(before, '[TD-11] [RP-03]').toMatchObject({
        mode: 'managed',
        status: 'ready',
        success: { command: 'yes', artifacts: 'partly', scientific: 'unknown' },
        filesMissing: ['out/model.bin'],
        sessions: [{ sessionId }],
      });
      expect(numberAt(before, 'usdPerHour')).toBeGreaterThan(0);
      const listed = await client.call('list_pods');
      expect(textAt(listed, 'pods.0.deadlineAt'), '[TD-11]').not.toBe('');

      // The end: sessions too, seen gone, with the receipt.
      await gone(client, podId, { discardUnfetched: true, reason: 'the user gave it up' });
      const report = await client.call('report', { podId });
      expect(report, '[RP-01] [TD-17]').toMatchObject({
        status: 'gone',
        jobs: [{ jobId, status: 'completed', exitCode: 0 }],
        filesHome: [{ path: expect.stringContaining('out/loss.txt') as string }],
        filesMissing: ['out/model.bin'],
        waiver: expect.stringContaining('gave it up') as string,
      });
      expect(['closed', 'lost']).toContain(textAt(report, 'sessions.0.state'));
      const { host, port } = pod['endpoint'] as { host: string; port: number };
      const [way] = listAt(report, 'connections');
      expect(way, '[PR-16]').toContain(`root@${host}:${port}, route direct, by the mapping 22/tcp`);
      expect(way).toContain('8888/http -> ');
      expect(textAt(report, 'destroyed.readAt')).not.toBe('');
      expect(cloud.books().billingCount).toBe(0);
      expect(await client.call('list_pods')).toMatchObject({ pods: [], usdPerHour: 0 });
    },
    LONG,
  );
});
