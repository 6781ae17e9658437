import type { BookedInstance, Sandbox, SandboxBooks, SeenRequest } from '../../core/sandbox.ts';
import { type Output, shown, table, usd } from '../output.ts';
import { variablesOf } from './vars-file.ts';

/** All together fit a terminal of 24 lines, where going up must not meet its end; clouds share the lines of machines. */
const MOST_INSTANCES = 8;
const MOST_REQUESTS = 6;
const CLOUD_LINES = 15;
/** Of a cloud, beside its machines. */
const FRAME_LINES = 3;

/** What to do with a sandbox that runs: the variables, and how to get a client to use them. */
export function welcome(
  { origins, swept }: Sandbox,
  exports: readonly string[],
  varsFile: string | undefined,
): readonly string[] {
  return [
    ...origins.map(({ cloud, url }) => `${cloud}: ${url} (made up: nothing here costs money)`),
    ...(swept === 0 ? [] : [`${swept} machines that an earlier sandbox had left were ended.`]),
    '',
    'In the shell of your client:',
    ...exports.map((line) => `  ${line}`),
    ...(varsFile === undefined ? [] : [`or: source ${varsFile}`]),
    '',
    'An MCP client takes the same lines as "env" of its gpu-lease entry (gpu-lease add --print shows the entry):',
    `  "env": ${JSON.stringify(variablesOf(origins))}`,
    '',
  ];
}

/** One line for each instance that is not what it was before. */
export function changes(
  before: readonly BookedInstance[],
  now: readonly BookedInstance[],
): readonly BookedInstance[] {
  const known = new Map(before.map((one) => [one.id, one]));
  return now.filter((one) => {
    const last = known.get(one.id);
    return last?.state !== one.state || last.billing !== one.billing;
  });
}

export function instanceLine(one: BookedInstance, was: string | undefined): string {
  const price = one.billing ? `${usd(one.usdPerHour)} per hour` : 'nothing charged';
  return shown(
    `${one.id}: ${was === undefined ? '' : `${was} -> `}${one.state}, ${price}, ${usd(one.spentUsd)} so far${one.label ? `, ${one.label}` : ''}`,
  );
}

export function requestLine(seen: SeenRequest): string {
  const answer = seen.status === undefined ? (seen.fault ?? 'no answer') : String(seen.status);
  return shown(
    `${timeOf(seen.at)}  ${answer.padEnd(5)} ${seen.method.padEnd(6)} ${seen.path}`,
    110,
  );
}

/** The whole picture, as lines that fit a terminal. */
export function picture(
  books: SandboxBooks,
  requests: readonly SeenRequest[],
  out: Output,
): readonly string[] {
  const share = Math.floor(CLOUD_LINES / Math.max(1, books.clouds.length)) - FRAME_LINES;
  const most = Math.min(MOST_INSTANCES, Math.max(1, share));
  return [
    ...books.clouds.flatMap((cloud) => {
      const living = cloud.instances.filter(({ endedAtSeconds }) => endedAtSeconds === undefined);
      const ended = cloud.instances.length - living.length;
      const head = `${cloud.cloud}  ${timeOf(books.nowSeconds)}  ${books.speed}x  burning ${usd(cloud.usdPerHour)}/h  billed ${usd(cloud.spentUsd)}  credit ${usd(cloud.creditUsd)}`;
      return [
        out.paint('bold', head),
        ...(living.length === 0
          ? [`  No machines${ended === 0 ? '' : `; ${ended} have ended`}.`]
          : table([
              ['  INSTANCE', 'STATE', 'GPU', 'PER HOUR', 'SPENT', 'LABEL'],
              ...living.slice(-most).map(row),
            ])),
        ...(living.length > most ? [`  and ${living.length - most} more`] : []),
      ];
    }),
    out.paint('dim', 'last requests'),
    ...requests.slice(-MOST_REQUESTS).map((seen) => `  ${requestLine(seen)}`),
    out.paint('dim', 'Ctrl-C ends the sandbox and every machine in it.'),
  ];
}

function row(one: BookedInstance): readonly string[] {
  return [
    `  ${one.id}`,
    one.state,
    one.gpu ?? '-',
    one.billing ? usd(one.usdPerHour) : '-',
    usd(one.spentUsd),
    one.label ?? '',
  ];
}

function timeOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(11, 19);
}
