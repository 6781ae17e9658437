import { machineIdOf } from './machine-id.ts';
import type { LogLine, Pod } from './pod.ts';
import { timestamp } from './words.ts';
import type { World } from './world.ts';

const KEPT_LINES = 5_000;

/** Adds a line to the pod's log. */
export function say(
  world: World,
  pod: Pod,
  line: string,
  source: LogLine['source'] = 'system',
): void {
  pod.logCount += 1;
  const seconds = world.clock.nowSeconds();
  const id = `${timestamp(seconds)}/${String(pod.logCount).padStart(12, '0')}`;
  pod.log.push({ id, seconds, source, line });
  if (pod.log.length > KEPT_LINES) pod.log.shift();
}

/** Takes over what the container has printed since last time. */
async function gather(world: World, pod: Pod): Promise<void> {
  if (!pod.machineStarted) return;
  const text = await world.machines.bootLog(machineIdOf(world, pod)).catch(() => '');
  // The last piece is no line yet.
  const lines = text.split('\n').slice(0, -1);
  if (lines.length < pod.containerLines) pod.containerLines = 0;
  for (const line of lines.slice(pod.containerLines)) say(world, pod, line, 'container');
  pod.containerLines = lines.length;
}

export interface LogAsk {
  readonly source: LogLine['source'] | undefined;
  readonly tail: number;
  readonly sinceSeconds: number | undefined;
  readonly afterId: string | undefined;
}

function backlog(pod: Pod, ask: LogAsk): readonly LogLine[] {
  const wanted = pod.log.filter(({ source }) => ask.source === undefined || source === ask.source);
  const { afterId, sinceSeconds } = ask;
  // Ids sort as texts.
  if (afterId !== undefined) return wanted.filter(({ id }) => id > afterId);
  if (sinceSeconds !== undefined) return wanted.filter(({ seconds }) => seconds >= sinceSeconds);
  return ask.tail === 0 ? [] : wanted.slice(-ask.tail);
}

const event = ({ id, seconds, source, line }: LogLine): string =>
  `id: ${id}\ndata: ${JSON.stringify({ ts: timestamp(seconds), source, line })}\n\n`;

/** Real seconds between two looks at the container. */
const LOOK_SECONDS = 0.25;

/**
 * Server-sent events that never end by themselves: first what was said, then what comes. Each look yields something, if
 * only an empty text, so that whoever reads for a client that is gone can stop.
 */
export async function* logStream(
  world: World,
  pod: Pod,
  ask: LogAsk,
  silent: boolean,
): AsyncGenerator<string> {
  yield ': connected\n\n';
  await gather(world, pod);
  let last = pod.log.at(-1)?.id ?? '';
  if (!silent) for (const line of backlog(pod, ask)) yield event(line);
  for (;;) {
    await new Promise<void>((resolve) => {
      world.clock.after(LOOK_SECONDS * Math.max(1, world.clock.speed), resolve);
    });
    await gather(world, pod);
    const since = last;
    const fresh = pod.log.filter(
      ({ id, source }) => id > since && (ask.source === undefined || source === ask.source),
    );
    last = pod.log.at(-1)?.id ?? last;
    yield silent ? '' : fresh.map(event).join('');
  }
}
