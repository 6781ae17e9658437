import type { Platform } from '../../src/core/platform.ts';

const yes = (value: boolean): string => (value ? 'yes' : 'no');
const cell = (text: string): string => text.replaceAll('|', '\\|');

function overview(platforms: readonly Platform[]): string {
  const rows = platforms.map(({ title, sshUser, dataFolder, durableFolder, meterStop, verified }) =>
    [
      title,
      sshUser === undefined ? 'differs' : `\`${sshUser}\``,
      dataFolder === undefined ? '' : `\`${dataFolder}\``,
      durableFolder === undefined ? 'none' : `\`${durableFolder}\``,
      meterStop.verb ?? 'none',
      meterStop.reversible === undefined ? '' : yes(meterStop.reversible),
      verified,
    ]
      .map(cell)
      .join(' | '),
  );
  return [
    '| platform | login | work here | outlives the machine | ends the meter | can be undone | verified |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map((row) => `| ${row} |`),
  ].join('\n');
}

function section(platform: Platform): string {
  const { title, source, verified, paths, meterStop, destroyVerb, dangerClocks } = platform;
  const { proxyHook, advice } = platform;
  return [
    `## ${title}`,
    '',
    `Verified ${verified}; source: ${source}.`,
    '',
    ...(paths.length === 0
      ? []
      : [
          '| folder | outlives a stop | outlives the end |',
          '| --- | --- | --- |',
          ...paths.map(
            (one) => `| \`${one.path}\` | ${yes(one.survivesStop)} | ${yes(one.survivesDestroy)} |`,
          ),
          '',
        ]),
    ...(meterStop.verb === undefined ? [] : [`- Ends the meter: ${meterStop.verb}.`]),
    ...(meterStop.stillBills.length === 0
      ? []
      : [`- Goes on costing after that: ${meterStop.stillBills.join(', ')}.`]),
    ...(destroyVerb === undefined ? [] : [`- Ends the machine: ${destroyVerb}.`]),
    ...dangerClocks.map(({ what, after, effect }) => `- Clock: ${what}, ${after}: ${effect}.`),
    ...(proxyHook === undefined
      ? []
      : [
          `- Proxy for foreign hosts: \`${proxyHook.on}\`, off with \`${proxyHook.off}\`${proxyHook.onlyFor === undefined ? '' : ` (${proxyHook.onlyFor})`}.`,
        ]),
    ...advice.map((one) => `- ${one}`),
  ].join('\n');
}

/** docs/providers/platforms.md, from the data that the server itself uses. */
export function platformsPage(platforms: readonly Platform[]): string {
  return [
    '# Platforms behind plain SSH',
    '',
    'Written by `npm run docs` from the data in `src/providers/ssh/platforms`; edit those files instead.',
    '',
    'A machine that the user made in some console is reached by a profile (`ssh.md`). gpu-lease recognises where it was rented by',
    'its address and by one look at the machine: whether known folders exist, and the names (never the values) of a few',
    'variables. Nobody has to say it. `get_pod` then tells the folders and what they outlive, the clocks, the proxy and what ends',
    'the meter; `job_start` warns when declared artifacts lie on a disk that a stop wipes; `report` names the verb for the user.',
    'Nothing of ours calls any of these verbs. A folder that is said to outlive the machine counts only when it is a file system',
    'of its own there. Facts that are six months old are told with a warning.',
    '',
    overview(platforms),
    '',
    platforms.map(section).join('\n\n'),
    '',
  ].join('\n');
}
