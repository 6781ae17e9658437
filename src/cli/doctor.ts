import type { Doctor } from '../core/health.ts';
import { type ProviderName, providerNameSchema } from '../core/ids.ts';
import {
  type Command,
  type CommandContext,
  choice,
  EXIT_FAILED,
  EXIT_OK,
  text,
  UsageError,
} from './command.ts';
import { forPeople, shown, table, usd } from './output.ts';

type Findings = Awaited<ReturnType<Doctor['check']>>;
const FIXES = ['register_ssh_key', 'generate_ssh_key', 'none'] as const;

export const doctorCommand: Command = {
  name: 'doctor',
  summary: 'What is configured, what answers, what is missing.',
  usage: '',
  details:
    'Exit code 1 when a setting cannot work, when nothing can be rented, or when a cloud that is configured does not answer. A cloud that is off is no failure.',
  positionals: { min: 0, max: 0 },
  options: {
    fix: { type: 'string', value: 'WHAT', help: 'generate_ssh_key or register_ssh_key.' },
    provider: { type: 'string', value: 'NAME', help: 'Only this provider.' },
  },
  run: async ({ services, out, values, signal }: CommandContext) => {
    const fix = choice(values, 'fix', FIXES, 'none');
    const request = {
      fix: fix === 'none' ? undefined : fix,
      provider: providerFrom(text(values, 'provider')),
    };
    const { doctor } = await services();
    const findings = await doctor.check(request, { signal });
    out.value(findings);
    for (const line of render(findings)) out.line(line);
    return troubles(findings).length === 0 ? EXIT_OK : EXIT_FAILED;
  },
};

/** Also used by `pods`. Throws a usage error for a name that is no provider. */
export function providerFrom(name: string | undefined): ProviderName | undefined {
  if (name === undefined) return undefined;
  const parsed = providerNameSchema.safeParse(name);
  if (parsed.success) return parsed.data;
  throw new UsageError(`--provider must be one of: ${providerNameSchema.options.join(', ')}.`);
}

/** What stands in the way. A cloud that nobody configured does not. */
function troubles({ providers, problems = [] }: Findings): readonly string[] {
  const on = providers.filter(({ configured }) => configured);
  const broken = on.filter(
    ({ reachable, problem }) => reachable === false || problem !== undefined,
  );
  return [
    ...problems,
    ...(on.length === 0 ? ['No provider is on: nothing can be rented.'] : []),
    ...broken.map(({ provider, problem }) => `${provider}: ${problem ?? 'it does not answer'}`),
  ];
}

function render(findings: Findings): readonly string[] {
  const providers = findings.providers.map((found) => [
    found.provider,
    found.configured ? 'on' : 'off',
    found.keySource ?? '-',
    word(found.reachable),
    balanceOf(found),
    word(found.sshKeyRegistered),
    forPeople(found.problem ?? ''),
  ]);
  const tools = Object.entries(findings.tools).map(([name, found]) => [
    name,
    found ? 'found' : 'not found',
  ]);
  const { path, exists, fingerprint, problem } = findings.sshKey;
  const absent = problem === undefined ? '(made on first use)' : '(cannot be read)';
  return [
    ...table([
      ['PROVIDER', 'STATE', 'KEY FROM', 'ANSWERS', 'BALANCE', 'SSH KEY', 'PROBLEM'],
      ...providers,
    ]),
    '',
    ...table([['PROGRAM', 'HERE'], ...tools]),
    '',
    `SSH key    ${shown(path)} ${exists ? `(${fingerprint ?? 'present'})` : absent}`,
    `State      ${shown(findings.home)}`,
    `Workspace  ${shown(findings.workspace)}`,
    '',
    ...madeUpLines(findings),
    ...findings.fixed.map((what) => `Fixed: ${shown(what)}`),
    ...listed(
      'Not set up:',
      findings.missing.filter((item) => findings.problems?.includes(item) !== true),
    ),
    ...listed('In the way:', troubles(findings)),
    ...(troubles(findings).length === 0 ? ['Ready: what is on works.'] : []),
  ];
}

function madeUpLines({ providers }: Findings): readonly string[] {
  const names = providers.filter(({ isMadeUp }) => isMadeUp === true).map((each) => each.provider);
  return names.length === 0
    ? []
    : [
        `Rehearsal: ${names.join(', ')} ${names.length === 1 ? 'is a sandbox' : 'are sandboxes'} on this machine. No machine or money there is real.`,
      ];
}

function balanceOf({ balanceUsd, hoursLeft }: Findings['providers'][number]): string {
  if (balanceUsd === undefined) return '-';
  return hoursLeft === undefined
    ? usd(balanceUsd)
    : `${usd(balanceUsd)} (${hoursLeft.toFixed(1)} h at what runs)`;
}

function word(value: boolean | undefined): string {
  if (value === undefined) return '-';
  return value ? 'yes' : 'no';
}

function listed(head: string, items: readonly string[]): readonly string[] {
  return items.length === 0
    ? []
    : [head, ...items.map((item) => `  - ${shown(forPeople(item), 400)}`)];
}
