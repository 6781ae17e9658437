import type {
  CallToolResult,
  InputRequiredResult,
  ServerContext,
} from '@modelcontextprotocol/server';
import type { Clock } from '../core/call.ts';
import { type AppError, toAppError } from '../core/errors.ts';
import type { ProgressSink } from '../core/progress.ts';
import type { Redactor } from '../core/redact.ts';
import type { Services, Tool } from '../tools/tool.ts';
import { startUse } from '../tools/used.ts';
import { warningsAbout, withWarnings } from '../tools/warned.ts';
import { readArguments } from './arguments.ts';
import { type Asker, PersonNeeded } from './ask.ts';
import { failed, finished, needsInput, progressed, started } from './events.ts';
import { startProgress } from './progress.ts';
import { failure, success } from './result.ts';

export interface CallDeps {
  /** Built with the first call, so that the answer to `initialize` waits for nothing. */
  readonly services: () => Promise<Services>;
  readonly clock: Clock;
  readonly redactor: Redactor;
  readonly asker: Asker;
  /** Gets every failure with its cause, for the log. */
  readonly onFailure: (tool: string, error: AppError) => void;
  readonly onProgress?: ProgressSink | undefined;
  /** Throws `rate_limited` when calls come too fast. */
  readonly admit?: (() => void) | undefined;
}

/** Runs one tool call from raw arguments to a result. Never throws: what goes wrong is a result with a code. */
export async function callTool(
  tool: Tool,
  given: unknown,
  context: ServerContext,
  initialCapabilities: () => unknown,
  { services, clock, redactor, asker, onFailure, onProgress, admit }: CallDeps,
): Promise<CallToolResult | InputRequiredResult> {
  const { signal } = context.mcpReq;
  const asking = asker.forCall({ tool: tool.name, args: given }, context, initialCapabilities);
  const progress = startProgress(context, clock, tool.title, (message) =>
    onProgress?.(progressed(tool, message)),
  );
  let use: ReturnType<typeof startUse> | undefined;
  let warned = async (): Promise<readonly string[]> => Promise.resolve([]);
  try {
    admit?.();
    onProgress?.(started(tool));
    const input = readArguments(tool, given);
    const all = await services();
    warned = async () => warningsAbout([input], all.pods);
    use = startUse(tool, input, all.pods, clock);
    const answer = await tool.handle(input, {
      ...all,
      signal,
      progress: (message) => {
        progress.report(redactor.redact(message));
      },
      ask: async ({ message, field }) => {
        const question = { message: redactor.redact(message), field: redactor.redact(field) };
        try {
          return await asking.ask(question);
        } catch (thrown) {
          if (thrown instanceof PersonNeeded) onProgress?.(needsInput(tool, question.message));
          throw thrown;
        }
      },
    });
    const question = await asking.pending();
    if (question !== undefined) return question;
    const output = await withWarnings(answer, input, all.pods);
    const result = success(tool, output, redactor);
    for (const event of finished(tool, output)) onProgress?.(event);
    return result;
  } catch (thrown) {
    const question = await asking.pending();
    if (question !== undefined && !signal.aborted) return question;
    const error = toAppError(thrown, signal);
    onFailure(tool.name, error);
    onProgress?.(failed(tool, error));
    return failure(error, redactor, await warned());
  } finally {
    use?.end();
    progress.end();
  }
}
