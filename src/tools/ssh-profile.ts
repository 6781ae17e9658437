import { z } from 'zod';
import { count } from '../core/count.ts';
import { InputError } from '../core/errors.ts';
import { type ProfileId, podIdOfProfile, profileIdSchema } from '../core/ids.ts';
import { type Profile, type ProfileFields, profileSchema } from '../core/profile.ts';
import { unfetchedOf } from '../core/unfetched.ts';
import { pathParam, podIdParam, text } from './params.ts';
import { defineTool, resultShape } from './tool.ts';
import { list, type Next, oneLine, renderResult } from './words.ts';

export const sshProfile = defineTool({
  name: 'ssh_profile',
  title: 'SSH profiles of own machines',
  description:
    'Save, test, list, show or remove an SSH profile: a GPU machine the user already has (own server, workstation, manually rented pod). Paste its ssh command or give host, port, user; nothing is guessed. No cost, no deadline, and nothing of ours ever stops it. Next: session_open, sync_files or job_start with profileId.',
  effect: 'write',
  input: z.strictObject({
    action: z.enum(['save', 'test', 'list', 'show', 'remove', 'set_default']),
    profileId: profileIdSchema.exactOptional().describe("The user's word for it."),
    podId: podIdParam.exactOptional().describe('Cloud pod behind it.'),
    sshCommand: text(2000).exactOptional().describe('Like "ssh -p 2222 root@1.2.3.4".'),
    host: text(253).exactOptional().describe('Needs port.'),
    port: z.int().min(1).max(65_535).exactOptional(),
    user: text(64).exactOptional(),
    keyPath: pathParam.exactOptional(),
    workFolder: pathParam.exactOptional(),
    interactiveAccess: z.enum(['opt_in', 'enabled', 'disabled']).exactOptional(),
    setDefault: z.boolean().exactOptional(),
  }),
  output: z.object({
    profiles: z.array(profileSchema),
    status: z.enum(['ready', 'warnings', 'failed']).exactOptional(),
    refreshed: z.boolean().exactOptional(),
    details: z.array(z.string()).exactOptional(),
    ...resultShape,
  }),
  async handle({ action, profileId, ...fields }, context) {
    const { profiles, jobs, artifacts, signal, progress } = context;
    const one = (): ProfileId => named(profileId, action);
    switch (action) {
      case 'save':
        return single(
          await profiles.save(one(), fields, { signal, progress }),
          'saved',
          'test',
          fieldNames(fields),
        );
      case 'test': {
        const { profile, ...result } = await profiles.test(profileId, { signal, progress });
        return {
          profiles: [profile],
          ...result,
          details: [...result.details],
          summary: `Profile ${profile.profileId}: ${result.status}${result.refreshed ? ', address refreshed from the provider' : ''}.`,
          next: result.status === 'failed' ? [] : useCalls(profile.profileId),
        };
      }
      case 'show':
        return single(await profiles.get(one()), 'shown', 'use');
      case 'set_default':
        return single(await profiles.setDefault(one()), 'now the default', 'use');
      case 'remove': {
        const podId = podIdOfProfile(one());
        const left = unfetchedOf(await jobs.list(podId), await artifacts.list());
        await profiles.remove(one());
        return listed(
          await profiles.list(),
          `Profile ${one()} is removed. ${left.length === 0 ? '' : leftWords(left.length)}`,
        );
      }
      case 'list':
        return listed(await profiles.list(), '');
    }
  },
  render(result) {
    return renderResult(
      result,
      list(
        result.profiles.map(
          ({ profileId, alias, user, host, port, isDefault, validatedAt }) =>
            `${profileId}${isDefault ? ' (default)' : ''}: ${host === undefined ? `alias ${alias ?? '?'}` : `${user ?? '?'}@${host}:${port ?? '?'}`}${validatedAt === undefined ? ', never tested' : `, tested ${validatedAt}`}`,
        ),
      ),
      result.details !== undefined && list(result.details.map((detail) => oneLine(detail))),
    );
  },
});

function named(profileId: ProfileId | undefined, action: string): ProfileId {
  if (profileId === undefined)
    throw new InputError('invalid_input', `Action "${action}" needs profileId.`);
  return profileId;
}

const leftWords = (declared: number): string =>
  `${count(declared, 'declared output')} of its jobs never came home and ${declared === 1 ? 'stays' : 'stay'} on that machine: save the profile again to fetch. `;

const fieldNames = (fields: ProfileFields): string =>
  Object.entries(fields).some(([, value]) => value !== undefined)
    ? ` with ${Object.keys(fields).join(', ')}`
    : '';

function single(profile: Profile, what: string, then: 'test' | 'use', detail = '') {
  const { profileId } = profile;
  return {
    profiles: [profile],
    summary: `Profile ${profileId} is ${what}${detail}. Address it as ${podIdOfProfile(profileId)} or by profileId.`,
    next:
      then === 'test'
        ? [
            {
              tool: 'ssh_profile',
              why: 'Check that it can be reached.',
              arguments: { action: 'test', profileId },
            },
          ]
        : useCalls(profileId),
  };
}

function listed(profiles: readonly Profile[], before: string) {
  return {
    profiles: [...profiles],
    summary: `${before}${count(profiles.length, 'profile')}.`,
    next: [],
  };
}

const useCalls = (profileId: ProfileId): Next => [
  { tool: 'session_open', why: 'Open a shell there.', arguments: { profileId } },
];
