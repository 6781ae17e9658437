import { z } from 'zod';
import { sessionClosedSchema } from '../core/session.ts';
import { sessionIdParam } from './params.ts';
import { defineTool, resultShape } from './tool.ts';
import { renderResult } from './words.ts';

export const sessionClose = defineTool({
  name: 'session_close',
  title: 'Close a session',
  description:
    'Close a shell session on a pod and say whether its processes are gone. Refused while a command runs, unless force. The transcript stays readable; jobs and the pod go on (and go on costing). Next: destroy when the pod is no longer needed.',
  effect: 'write',
  input: z.strictObject({
    sessionId: sessionIdParam,
    force: z.boolean().default(false).describe('End the running command too.'),
  }),
  output: z.object({ ...sessionClosedSchema.shape, ...resultShape }),
  async handle({ sessionId, force }, { sessions, signal, progress }) {
    const closed = await sessions.close(sessionId, { force }, { signal, progress });
    const gone = { yes: 'are gone', no: 'are NOT gone', unknown: 'could not be checked' } as const;
    const unseen =
      closed.state === 'lost' && closed.processesGone === 'unknown'
        ? ' Its machine could not be reached: they may still run there.'
        : '';
    return {
      ...closed,
      summary: `Session ${sessionId} is ${closed.state}; its processes ${gone[closed.processesGone]}.${unseen}`,
      next:
        closed.processesGone === 'no'
          ? [
              {
                tool: 'session_close',
                why: 'End its processes.',
                arguments: { sessionId, force: true },
              },
            ]
          : [],
    };
  },
  render(result) {
    return renderResult(
      result,
      result.exitCode !== undefined && `The shell ended with exit code ${result.exitCode}.`,
    );
  },
});
