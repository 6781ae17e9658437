import type { AppError } from '../core/errors.ts';
import { isTerminal, jobStatusSchema } from '../core/job.ts';
import type { ProgressEvent } from '../core/progress.ts';
import type { Tool } from '../tools/tool.ts';

/* What a person who watches hears of one call. All words are ours; the file that gets them redacts. */

type Told = Pick<Tool, 'name' | 'title' | 'effect'>;
type Output = Readonly<Record<string, unknown>>;

const inSlot = ({ name }: Told): { readonly stage: string; readonly slot: string } => ({
  stage: name,
  slot: name,
});

export function started(tool: Told): ProgressEvent {
  return { kind: 'started', message: tool.title, ...inSlot(tool) };
}
export function progressed(tool: Told, message: string): ProgressEvent {
  return { kind: 'progress', message: message || tool.title, ...inSlot(tool) };
}
/** Without a slot: a question is not replaced by what comes after it. */
export function needsInput(tool: Told, message: string): ProgressEvent {
  return { kind: 'needs_input', message, stage: tool.name };
}
export function failed(tool: Told, { code, message }: AppError): ProgressEvent {
  return { kind: 'warning', message: `${code}: ${message}`, stage: tool.name };
}

/** A milestone where the work got further, a question where a person has to decide, a warning where it did not end well. */
export function finished(tool: Told, output: Output): readonly ProgressEvent[] {
  const message = typeof output['summary'] === 'string' ? output['summary'] : tool.title;
  const { name: stage } = tool;
  const completed: ProgressEvent = { kind: 'completed', message, ...inSlot(tool) };
  if (output['status'] === 'needs_confirmation') return [needsInput(tool, message), completed];
  if (wentWrong(output)) return [{ kind: 'warning', message, stage }, completed];
  return isMilestone(tool, output)
    ? [{ kind: 'milestone', message, stage }, completed]
    : [completed];
}

const BAD_ENDS: readonly unknown[] = ['failed', 'timed_out', 'lost', 'cleanup_failed'];
const OPEN_ENDS: readonly unknown[] = ['present', 'unknown', 'blocked'];
const wentWrong = ({ status, outcome }: Output): boolean =>
  BAD_ENDS.includes(status) || OPEN_ENDS.includes(outcome);

const QUIET = new Set(['session_write', 'ssh_profile', 'doctor']);
function isMilestone({ name, effect }: Told, output: Output): boolean {
  if (output['dryRun'] === true) return false;
  if (name === 'job_wait') {
    const status = jobStatusSchema.safeParse(output['status']);
    return status.success && isTerminal(status.data);
  }
  if (name === 'get_pod') return output['reached'] === true;
  return effect !== 'read' && !QUIET.has(name);
}
