import { z } from 'zod';
import { count } from '../core/count.ts';
import { syncResultSchema } from '../core/files.ts';
import { machineOf, names, pathParam, podIdParam, profileIdParam } from './params.ts';
import { defineTool, resultShape } from './tool.ts';
import { bytes, duration, list, oneLine, renderResult } from './words.ts';

export const syncFiles = defineTool({
  name: 'sync_files',
  title: 'Send files to a pod',
  description:
    'Copy code or data from this machine to a GPU pod (upload, like rsync): respects .gitignore, leaves out caches, refuses files that look like secrets, sends only what changed, checks every file by hash. Local paths must be inside the workspace. dryRun shows what would happen. Adds no cost. Next: session_open or job_start.',
  effect: 'write',
  input: z.strictObject({
    podId: podIdParam.exactOptional(),
    profileId: profileIdParam.exactOptional(),
    localPath: pathParam.describe('Folder or file here.'),
    remotePath: pathParam.default('.').describe('Default: the work folder.'),
    include: names(500).default([]).describe('Only these globs; beats .gitignore.'),
    exclude: names(500).default([]),
    delete: z.boolean().default(false).describe('Also delete there what is gone here.'),
    dryRun: z.boolean().default(false),
    allowSecrets: names(500).default([]).describe('Refused files the user allows.'),
  }),
  output: z.object({ ...syncResultSchema.shape, ...resultShape }),
  async handle({ podId, profileId, ...request }, { files, signal, progress }) {
    const machine = machineOf({ podId, profileId });
    const result = await files.sync({ podId: machine, ...request }, { signal, progress });
    const { sent, unchanged, deleted, dryRun, verified, seconds, wireBytes } = result;
    const skipped = result.skippedCount === 0 ? '' : `, ${result.skippedCount} skipped`;
    const removed =
      deleted.length === 0 ? '' : `, ${deleted.length} ${dryRun ? 'would be deleted' : 'deleted'}`;
    const proof = verified ? ' All verified by hash.' : ' NOT verified.';
    return {
      ...result,
      summary: dryRun
        ? `Would send ${count(sent.files, 'file')} (${bytes(sent.bytes)}); ${unchanged.files} unchanged${removed}${skipped}. Nothing was changed.`
        : `Sent ${count(sent.files, 'file')} (${bytes(sent.bytes)}, ${bytes(wireBytes)} on the wire) in ${duration(seconds)}; ${unchanged.files} unchanged${removed}${skipped}.${proof}`,
      next: dryRun
        ? sent.files === 0 && deleted.length === 0
          ? []
          : [
              {
                tool: 'sync_files',
                why: 'Do it: the same call without dryRun.',
                arguments: {
                  podId: machine,
                  localPath: request.localPath,
                  remotePath: request.remotePath,
                  ...(request.delete ? { delete: true } : {}),
                },
              },
            ]
        : [
            {
              tool: 'job_start',
              why: 'Start the work there: add command.',
              arguments: { podId: machine },
            },
          ],
    };
  },
  render(result) {
    return renderResult(
      result,
      `To ${result.podId}: ${oneLine(result.remotePath)}`,
      result.deleted.length > 0 && `Deleted:\n${list(result.deleted)}`,
      result.skipped.length > 0 &&
        `Skipped:\n${list(result.skipped.map(({ path, why }) => `${path}: ${why}`))}`,
    );
  },
});
