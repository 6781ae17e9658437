import { z } from 'zod';
import { count } from '../core/count.ts';
import type { Pods } from '../core/pods.ts';

const MOST_WARNINGS = 3;

const id = z.string().optional().catch(undefined);
const pod = z.object({ podId: id }).optional().catch(undefined);
/** Where arguments and results say which pod they are about. */
const aboutSchema = z.object({
  podId: id,
  jobId: id,
  sessionId: id,
  pod,
  pods: z.array(pod).optional().catch(undefined),
});
const summarySchema = z.looseObject({ summary: z.string() });

/**
 * The same result; its summary also says which budgets of the pods it is about are nearly spent. Hosts that drop the text of a
 * result show its summary.
 */
export async function withWarnings<Output extends object>(
  output: Output,
  input: object,
  pods: Pick<Pods, 'warnings'>,
): Promise<Output> {
  const said = await warningsAbout([input, output], pods);
  const { data } = summarySchema.safeParse(output);
  if (said.length === 0 || data === undefined) return output;
  return { ...output, summary: [data.summary, ...said].join(' ') };
}

/** What is to be said of the budgets of the pods that these arguments and results speak of: a few sentences at most. */
export async function warningsAbout(
  values: readonly object[],
  { warnings }: Pick<Pods, 'warnings'>,
): Promise<readonly string[]> {
  const said = (await warnings?.([...new Set(values.flatMap(idsIn))])) ?? [];
  const rest = said.length - MOST_WARNINGS;
  const more = rest > 0 ? [`${count(rest, 'more warning')} like these.`] : [];
  return [...said.slice(0, MOST_WARNINGS), ...more];
}

/** The ids by which arguments or a result say which pods they are about. */
export function idsIn(value: object): readonly string[] {
  const { podId, jobId, sessionId, pod: one, pods = [] } = aboutSchema.parse(value);
  const all = [podId, jobId, sessionId, one?.podId, ...pods.map((each) => each?.podId)];
  return all.filter((each) => each !== undefined);
}
