import type { Clock } from '../core/call.ts';
import { count } from '../core/count.ts';
import { endedWords } from '../core/left-behind.ts';
import type { Pod, Pods } from '../core/pods.ts';
import { type Command, type CommandContext, EXIT_FAILED, EXIT_OK, flag, text } from './command.ts';
import { providerFrom } from './doctor.ts';
import { duration, shown, table, usd } from './output.ts';

type Listing = Awaited<ReturnType<Pods['list']>>;

export const podsCommand: Command = {
  name: 'pods',
  summary: 'Every pod known or found, with what it costs now.',
  usage: '',
  details: 'Exit code 1 when a provider did not answer: the list may then be incomplete.',
  positionals: { min: 0, max: 0 },
  options: {
    all: { type: 'boolean', help: 'Also pods that have ended.' },
    provider: { type: 'string', value: 'NAME', help: 'Only this provider.' },
  },
  run: async ({ services, out, values, signal, clock }: CommandContext) => {
    const provider = providerFrom(text(values, 'provider'));
    const { pods } = await services();
    const listing = await pods.list({ provider, includeEnded: flag(values, 'all') }, { signal });
    out.value(listing);
    for (const line of render(listing, clock)) out.line(line);
    return listing.providers.every(({ ok }) => ok) ? EXIT_OK : EXIT_FAILED;
  },
};

function render(listing: Listing, clock: Clock): readonly string[] {
  const { limits = [], ended = [] } = listing;
  const silent = listing.providers.filter(({ ok }) => !ok);
  const balances = listing.providers.flatMap(({ provider, balanceUsd }) =>
    balanceUsd === undefined ? [] : [`${provider} ${usd(balanceUsd)}`],
  );
  return [
    ...(listing.pods.length === 0
      ? ['No pods.']
      : table([
          ['POD', 'NAME', 'STATUS', 'GPU', 'PER HOUR', 'SPENT', 'ENDS IN', 'NOTE'],
          ...listing.pods.map((pod) => row(pod, clock)),
        ])),
    ...volumesOf(listing),
    '',
    `Burning ${usd(listing.usdPerHour)} per hour; ${usd(listing.spentUsd)} spent so far.`,
    ...limits.map(({ name, limit, used, scope }) =>
      scope === 'pods'
        ? `${name}: ${used} of ${count(limit, 'pod')}.`
        : scope === 'minutes'
          ? `${name}: ${count(limit, 'minute')}; the idlest pod has ${used}.`
          : `${name}: ${usd(used)} of ${usd(limit)} ${scope}.`,
    ),
    ...ended.map((one) => shown(endedWords(one), 2000)),
    ...(balances.length === 0 ? [] : [`Balances: ${balances.join(', ')}.`]),
    ...silent.map(
      ({ provider, error }) =>
        `${provider} did not answer, so its pods are unknown: ${shown(error ?? 'no reason given')}`,
    ),
  ];
}

/** Disks of their own are charged whether a pod uses them or not. */
function volumesOf({ volumes = [] }: Listing): readonly string[] {
  if (volumes.length === 0) return [];
  const rows = volumes.map(({ volumeId, name, sizeGb, usdPerMonth, podIds }) => [
    volumeId,
    name,
    `${sizeGb} GB`,
    usdPerMonth === undefined ? '-' : usd(usdPerMonth),
    podIds.length === 0 ? 'no pod' : podIds.join(', '),
  ]);
  return ['', ...table([['VOLUME', 'NAME', 'SIZE', 'PER MONTH', 'USED BY'], ...rows])];
}

function row(pod: Pod, clock: Clock): readonly string[] {
  const notes = [
    ...(pod.mode === 'managed' ? [] : [pod.mode.replace('_', ' ')]),
    ...(pod.rehearsal === true ? ['rehearsal'] : []),
    ...(pod.problem === undefined ? [] : [pod.problem]),
  ];
  return [
    pod.podId,
    pod.name,
    pod.status,
    pod.gpu === undefined ? '-' : `${pod.gpuCount ?? 1} x ${pod.gpu}`,
    pod.usdPerHour === undefined ? '-' : usd(pod.usdPerHour),
    pod.spentUsd === undefined ? '-' : usd(pod.spentUsd),
    endsIn(pod, clock),
    notes.join('; '),
  ];
}

function endsIn(pod: Pod, clock: Clock): string {
  if (pod.deadlineAt === undefined || pod.status === 'gone') return '-';
  const seconds = (Date.parse(pod.deadlineAt) - clock.now().getTime()) / 1000;
  return seconds <= 0 ? 'overdue' : duration(seconds);
}
