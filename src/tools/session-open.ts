import { z } from 'zod';
import { sessionOpenedSchema } from '../core/session.ts';
import { machineOf, pathParam, podIdParam, profileIdParam } from './params.ts';
import { defineTool, resultShape } from './tool.ts';
import { oneLine, renderResult } from './words.ts';

export const sessionOpen = defineTool({
  name: 'session_open',
  title: 'Open a shell session',
  description:
    'Open a shell (ssh terminal) on a GPU pod or on a machine of the user. Its life is on the pod: folder, environment and transcript survive lost links and restarts of this server. reuse takes an idle one. Adds no cost. Next: session_write; for work over ten minutes job_start.',
  effect: 'execute',
  input: z.strictObject({
    podId: podIdParam.exactOptional(),
    profileId: profileIdParam.exactOptional(),
    cwd: pathParam.exactOptional(),
    reuse: z.boolean().default(true),
  }),
  output: z.object({ ...sessionOpenedSchema.shape, ...resultShape }),
  async handle({ podId, profileId, ...request }, { sessions, signal, progress }) {
    const machine = machineOf({ podId, profileId });
    const opened = await sessions.open(machine, request, { signal, progress });
    const { sessionId } = opened;
    return {
      ...opened,
      summary: `Session ${sessionId} on ${machine} is ${opened.state}${opened.reused ? ' (it was open already)' : ''}.`,
      next: [
        { tool: 'session_write', why: 'Run a command: add input.', arguments: { sessionId } },
        ...(opened.reused
          ? [
              {
                tool: 'session_read',
                why: 'Read what it printed before.',
                arguments: { sessionId, offset: 0 },
              },
            ]
          : []),
      ],
    };
  },
  render(result) {
    return renderResult(
      result,
      `Folder ${oneLine(result.cwd)}; terminal ${result.terminal}; output goes on at offset ${result.nextOffset}.`,
    );
  },
});
