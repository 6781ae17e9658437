import { z } from 'zod';
import type { CallOptions } from './call.ts';
import { type ProfileId, podIdSchema, profileIdSchema } from './ids.ts';

/** A machine the user already has. We own nothing there: no cost, no deadline, no cleanup. */
export const profileSchema = z.object({
  profileId: profileIdSchema,
  podId: podIdSchema.exactOptional().describe('The cloud pod behind it, if known.'),
  host: z.string().exactOptional(),
  port: z.int().min(1).max(65_535).exactOptional(),
  user: z.string().exactOptional(),
  /** Absent host: an alias of ~/.ssh/config. */
  alias: z.string().exactOptional(),
  keyPath: z.string().exactOptional(),
  workFolder: z.string().exactOptional(),
  interactiveAccess: z.enum(['opt_in', 'enabled', 'disabled']).exactOptional(),
  /** Where it was rented, as it was recognised. */
  platform: z.string().exactOptional(),
  isDefault: z.boolean(),
  validatedAt: z.string().exactOptional(),
});
export type Profile = Readonly<z.output<typeof profileSchema>>;

/** As it lies in the store, which all projects of the person share. */
export const savedProfileSchema = profileSchema.extend({
  /** The projects whose default it is, by their folders. Absent: `isDefault` holds for all. */
  defaultFor: z.array(z.string()).exactOptional(),
});
export type SavedProfile = Readonly<z.output<typeof savedProfileSchema>>;

export interface ProfileFields {
  readonly podId?: string | undefined;
  readonly sshCommand?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  readonly keyPath?: string | undefined;
  readonly workFolder?: string | undefined;
  readonly interactiveAccess?: 'opt_in' | 'enabled' | 'disabled' | undefined;
  readonly setDefault?: boolean | undefined;
}

export interface Profiles {
  /** PR-01 to PR-06: never guesses a missing fact; explicit fields beat the pasted command. */
  save(profileId: ProfileId, fields: ProfileFields, options: CallOptions): Promise<Profile>;
  test(
    profileId: ProfileId | undefined,
    options: CallOptions,
  ): Promise<{
    readonly profile: Profile;
    readonly status: 'ready' | 'warnings' | 'failed';
    readonly refreshed: boolean;
    readonly details: readonly string[];
  }>;
  list(): Promise<readonly Profile[]>;
  get(profileId: ProfileId): Promise<Profile>;
  remove(profileId: ProfileId): Promise<void>;
  setDefault(profileId: ProfileId): Promise<Profile>;
}
