import { z } from 'zod';
import { count } from '../core/count.ts';
import { InputError } from '../core/errors.ts';
import type { Doctor } from '../core/health.ts';
import { providerNameSchema } from '../core/ids.ts';
import { daysOrHours } from './offer-text.ts';
import { defineTool, resultShape } from './tool.ts';
import { list, type Next, oneLine, renderResult, usd } from './words.ts';

const doctorProviderSchema = z.object({
  provider: providerNameSchema,
  configured: z.boolean(),
  keySource: z.string().optional(),
  reachable: z.boolean().optional(),
  balanceUsd: z.number().optional(),
  usdPerHour: z.number().optional(),
  hoursLeft: z.number().optional(),
  sshKeyRegistered: z.boolean().optional(),
  problem: z.string().optional(),
});

export const doctor = defineTool({
  name: 'doctor',
  title: 'Check the setup',
  description:
    'Check the setup before renting a GPU: per cloud the API key, whether the account answers, its balance and how long that lasts, whether our SSH key is on it; local tools; what is missing and the fix. Free. Changes something only with fix: make our SSH key, or register it on an account. Next: find_offer.',
  effect: 'write',
  input: z.strictObject({
    fix: z.enum(['register_ssh_key', 'generate_ssh_key']).exactOptional(),
    provider: providerNameSchema.exactOptional().describe('Only this one; needed to register.'),
  }),
  output: z.object({
    providers: z.array(doctorProviderSchema),
    sshKey: z.object({
      path: z.string(),
      exists: z.boolean(),
      fingerprint: z.string().optional(),
      problem: z.string().optional(),
    }),
    tools: z.record(z.string(), z.boolean()),
    home: z.string(),
    workspace: z.string(),
    missing: z.array(z.string()),
    fixed: z.array(z.string()),
    ...resultShape,
  }),
  async handle({ fix, provider }, { doctor: service, signal, progress }) {
    if (fix === 'register_ssh_key' && provider === undefined)
      throw new InputError('invalid_input', 'fix "register_ssh_key" needs provider.');
    const found = await service.check({ fix, provider }, { signal, progress });
    const usable = found.providers.filter(
      ({ configured, reachable }) => configured && reachable !== false,
    );
    const next: Next = [
      { tool: 'find_offer', why: 'Look for a machine.', arguments: {} },
      ...(found.sshKey.exists || found.sshKey.problem !== undefined
        ? []
        : [
            {
              tool: 'doctor',
              why: 'Make an SSH key of our own now; else the first pod does.',
              arguments: { fix: 'generate_ssh_key' },
            },
          ]),
    ];
    const { sshKey, home, workspace } = found;
    return {
      sshKey,
      home,
      workspace,
      // The summary says which of them are made up.
      providers: found.providers.map((each) => doctorProviderSchema.parse(each)),
      tools: { ...found.tools },
      missing: [...found.missing],
      fixed: [...found.fixed],
      summary: summaryOf(found, usable),
      next,
    };
  },
  render(result) {
    return renderResult(
      result,
      list(
        result.providers.map(
          ({ provider, configured, keySource, reachable, sshKeyRegistered, problem, ...money }) =>
            [
              `${provider}: ${configured ? 'configured' : 'not configured'}`,
              keySource !== undefined && `${configured ? 'key from' : 'needs'} ${keySource}`,
              reachable !== undefined && (reachable ? 'reachable' : 'not reachable'),
              balanceWords(money),
              sshKeyRegistered !== undefined &&
                `our SSH key is ${sshKeyRegistered ? '' : 'not '}registered`,
              problem !== undefined && oneLine(problem),
            ]
              .filter((part) => part !== false)
              .join(', '),
        ),
      ),
      `SSH key: ${result.sshKey.path}${result.sshKey.exists ? '' : result.sshKey.problem === undefined ? ' (does not exist yet)' : ' (cannot be read)'} ${result.sshKey.fingerprint ?? ''}`,
      `State: ${result.home}. Workspace: ${result.workspace}.`,
      `Tools: ${Object.entries(result.tools)
        .map(([name, there]) => `${name} ${there ? 'yes' : 'no'}`)
        .join(', ')}`,
      result.missing.length > 0 && `Missing:\n${list(result.missing)}`,
      result.fixed.length > 0 && `Fixed:\n${list(result.fixed)}`,
    );
  },
});

const MADE_UP = 'a sandbox on this machine, a rehearsal: no machine or money there is real';

type Found = Awaited<ReturnType<Doctor['check']>>;
/** A cloud without a key is a choice, and a key is made when the first pod needs it: neither is a fault. */
function summaryOf(
  { providers, problems = [], fixed, sshKey }: Found,
  usable: Found['providers'],
): string {
  const names = usable.map((each) => [each.provider, balanceWords(each)].filter(isSaid).join(', '));
  const off = providers.filter(({ configured }) => !configured);
  const broken = providers.filter(
    ({ configured, reachable, problem }) =>
      configured && (reachable === false || problem !== undefined),
  );
  const madeUp = providers.filter(({ isMadeUp }) => isMadeUp === true);
  const faults = problems.length + broken.length;
  return [
    `Usable: ${names.join('; ') || 'nothing'}.`,
    off.length > 0 &&
      `Off for want of an API key: ${off.map(({ provider, keySource }) => `${provider}${keySource === undefined ? '' : ` (${keySource})`}`).join(', ')}.`,
    madeUp.length > 0 &&
      `${madeUp.map(({ provider }) => provider).join(', ')}: ${MADE_UP}. Tell the user.`,
    !sshKey.exists && sshKey.problem === undefined && 'The first pod makes our SSH key.',
    faults > 0 ? `${count(faults, 'problem')}, see missing.` : 'No problems.',
    fixed.length > 0 && `${count(fixed.length, 'thing')} fixed.`,
  ]
    .filter(isSaid)
    .join(' ');
}

/** Money of one account: what is there, and how long it lasts at what runs now. */
function balanceWords({
  balanceUsd,
  usdPerHour,
  hoursLeft,
}: Pick<Found['providers'][number], 'balanceUsd' | 'usdPerHour' | 'hoursLeft'>): string | false {
  if (balanceUsd === undefined) return false;
  const lasts =
    hoursLeft === undefined || usdPerHour === undefined
      ? ''
      : `, lasts ${daysOrHours(hoursLeft)} at ${usd(usdPerHour)}/h`;
  return `balance ${usd(balanceUsd)}${lasts}`;
}

const isSaid = (part: string | false): part is string => part !== false;
