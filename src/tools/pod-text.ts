import { type Pod, podSchema } from '../core/pods.ts';
import { duration, lines, list, oneLine, usd } from './words.ts';

/** One pod in a few lines, for people. */
export function renderPod(pod: Pod): string {
  const { endpoint } = pod;
  return lines(
    `${pod.podId} "${oneLine(pod.name, 80)}" (${pod.mode}${pod.rehearsal === true ? ', rehearsal' : ''}): ${pod.status}${pod.stage === undefined ? '' : `, stage ${oneLine(pod.stage, 40)}`}`,
    pod.gpu !== undefined && `GPU: ${pod.gpuCount ?? 1} x ${oneLine(pod.gpu, 80)}`,
    pod.usdPerHour !== undefined && `Money: ${moneyOf(pod)}`,
    pod.deadlineAt !== undefined &&
      pod.status !== 'gone' &&
      `Deadline: ${pod.deadlineAt}, then ${pod.onExpiry ?? 'destroy'}`,
    endpoint !== undefined &&
      `Endpoint: ${endpoint.user}@${endpoint.host}:${endpoint.port} (${oneLine(endpoint.route, 40)})`,
    pod.portMappings !== undefined &&
      `Ports as the cloud lists them: ${oneLine(pod.portMappings.join(', '), 600)}`,
    pod.workFolder !== undefined && `Work folder: ${oneLine(pod.workFolder)}`,
    pod.stages !== undefined &&
      pod.stages.length > 0 &&
      `Stages: ${pod.stages.map(({ stage, seconds }) => `${oneLine(stage, 40)} ${duration(seconds)}`).join(', ')}`,
    pod.measured !== undefined && `Measured: ${factsOf(withoutFolder(pod.measured))}`,
    pod.advertised !== undefined && `Advertised: ${factsOf(pod.advertised)}`,
    pod.paths !== undefined &&
      list(
        pod.paths.map(
          ({ path, survivesStop, survivesDestroy }) =>
            `${path}: ${survivesStop ? 'survives' : 'lost at'} stop, ${survivesDestroy ? 'survives' : 'lost at'} destroy`,
        ),
      ),
    pod.dangerClocks !== undefined && list(pod.dangerClocks),
    pod.replaces !== undefined && `Rented in the place of ${pod.replaces}`,
    pod.replacedBy !== undefined && `Replaced by ${pod.replacedBy}`,
    pod.problem !== undefined && `Problem reported: ${oneLine(pod.problem)}`,
    pod.observedAt !== undefined && `Last reading: ${pod.observedAt}`,
  );
}

/** The work folder has a line of its own. */
function withoutFolder(facts: NonNullable<Pod['measured']>): NonNullable<Pod['measured']> {
  return Object.fromEntries(Object.entries(facts).filter(([name]) => name !== 'workFolder'));
}

function moneyOf({ usdPerHour = 0, bidUsdPerHour, spentUsd, budgetUsd, status }: Pod): string {
  const spent =
    spentUsd === undefined ? '' : `, ${usd(spentUsd)} ${status === 'gone' ? 'in all' : 'so far'}`;
  const budget = budgetUsd === undefined ? '' : ` of ${usd(budgetUsd)}`;
  const bid = bidUsdPerHour === undefined ? '' : ` (bid ${usd(bidUsdPerHour)})`;
  const now = status === 'stopped' ? ' while stopped' : '';
  return `${usd(usdPerHour)}/h${now}${bid}${spent}${budget}`;
}

export function factsOf(facts: Readonly<Record<string, string | number>>): string {
  return Object.entries(facts)
    .map(
      ([name, value]) =>
        `${oneLine(name, 60)} ${typeof value === 'number' ? value : oneLine(value, 120)}`,
    )
    .join(', ');
}

/** Without what only `get_pod` tells: how long each stage took, hardware, what survives where and which clocks run. */
export function briefPod(pod: Pod): Pod {
  return briefSchema.parse(pod);
}
const briefSchema = podSchema.omit({
  stages: true,
  portMappings: true,
  measured: true,
  advertised: true,
  paths: true,
  dangerClocks: true,
});
