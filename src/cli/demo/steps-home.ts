import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import {
  closeResult,
  destroyResult,
  fetchResult,
  logsResult,
  podResult,
  reportResult,
} from './results.ts';
import { check, type Day, type Step } from './step.ts';

const RESULTS = 'results';
const summarySchema = z.object({ validLoss: z.number(), unigramEntropy: z.number() });

/** Results home, pod gone, books closed. */
export const HOME_STEPS: readonly Step[] = [
  {
    title: 'Try to destroy the pod with the only copy on it',
    run: async (day: Day): Promise<void> => {
      const podId = day.recall('podId');
      const { outcome, missing } = await day.call('destroy', { podId }, destroyResult);
      check(outcome === 'blocked', `destroy is refused (it was "${outcome}")`);
      check(missing.length > 0, 'it names what is missing');
      day.say(`refused: ${missing.length} artifacts are nowhere else`);
      const { pod } = await day.call('get_pod', { podId }, podResult);
      check(pod.status === 'ready', 'the pod is untouched');
    },
  },
  {
    title: 'Bring the results home, proven',
    run: async (day: Day): Promise<void> => {
      const { manifest, missing } = await day.call(
        'fetch_artifacts',
        { jobId: day.recall('jobId'), localPath: RESULTS },
        fetchResult,
      );
      check(missing.length === 0, 'no declared artifact is missing');
      check(manifest.files.length === 4, 'all four declared artifacts come home');
      for (const file of manifest.files) {
        const bytes = await readFile(path.resolve(day.workspace, file.localPath));
        const sha256 = createHash('sha256').update(bytes).digest('hex');
        check(sha256 === file.sha256, `${file.path} is here with the hash that the pod named`);
        check(file.problem === undefined, `${file.path} can be opened`);
        day.say(`${file.path}: ${file.bytes} bytes, ${file.proof}, sha256 ${sha256.slice(0, 12)}…`);
      }
      const model = manifest.files.find((file) => file.path.endsWith('.safetensors'));
      check(model?.proof === 'loaded', 'the model was read tensor by tensor');
      const { validLoss, unigramEntropy } = await summaryAt(day, manifest.files);
      check(validLoss < unigramEntropy, 'the model predicts better than counting letters does');
    },
  },
  {
    title: 'Read the end of the log',
    run: async (day: Day): Promise<void> => {
      const { output } = await day.call(
        'job_logs',
        { jobId: day.recall('jobId'), stream: 'stdout', tailLines: 2 },
        logsResult,
      );
      for (const line of output.trim().split('\n')) day.say(line);
    },
  },
  {
    title: 'Close the shell, destroy the pod',
    run: async (day: Day): Promise<void> => {
      const podId = day.recall('podId');
      const { state } = await day.call(
        'session_close',
        { sessionId: day.recall('sessionId') },
        closeResult,
      );
      check(state === 'closed', 'the shell is closed');
      const { outcome, receipt } = await day.call(
        'destroy',
        { podId, waitSeconds: 45 },
        destroyResult,
      );
      check(outcome === 'gone', `the pod is seen gone (it is "${outcome}")`);
      check(receipt !== undefined, 'there is a receipt');
      day.held(5, 'destroy was refused until every artifact was home and hashed');
      day.held(3, `${receipt.proof.how.replace(/\.$/, '')}, read at ${receipt.proof.readAt}`);
    },
  },
  {
    title: 'The report',
    run: async (day: Day): Promise<void> => {
      const report = await day.call('report', { podId: day.recall('podId') }, reportResult);
      const { success, filesHome, filesMissing, costUsd } = report;
      check(costUsd !== undefined, 'the report knows the cost');
      day.remember('costUsd', costUsd.toFixed(2));
      check(report.status === 'gone', 'the report says that the pod is gone');
      check(success.command === 'yes' || success.command === 'partly', 'the command succeeded');
      check(filesMissing.length === 0 && filesHome.length === 4, 'all files are home');
      check(success.scientific !== 'yes', 'it does not claim to know whether the science is right');
      day.say(
        `command ${success.command} (the sleeper was cancelled), artifacts ${success.artifacts}, scientific ${success.scientific}; cost $${costUsd.toFixed(2)}`,
      );
      day.held(9, `whether the result is right is "${success.scientific}", not a guess`);
    },
  },
];

/** What the training itself wrote about its result. */
async function summaryAt(
  day: Day,
  files: readonly { readonly path: string; readonly localPath: string }[],
): Promise<z.output<typeof summarySchema>> {
  const file = files.find((candidate) => candidate.path.endsWith('summary.json'));
  check(file !== undefined, 'the summary of the training is home');
  const text = await readFile(path.resolve(day.workspace, file.localPath), 'utf8');
  return summarySchema.parse(JSON.parse(text));
}
