import type { Profile, SavedProfile } from '../../core/profile.ts';
import type { Collections } from '../../core/store.ts';

/** As seen from one project: a default that was set from another one is none here (PR-12). */
export function shownIn(project: string, { defaultFor, ...profile }: SavedProfile): Profile {
  return {
    ...profile,
    isDefault: defaultFor === undefined ? profile.isDefault : defaultFor.includes(project),
  };
}

/** Makes one profile the default of `project` and no other; the defaults of other projects stay. */
export async function makeDefault(
  tx: Collections,
  project: string,
  profileId: Profile['profileId'],
): Promise<void> {
  for (const profile of await tx.profiles.list()) {
    const others = (profile.defaultFor ?? []).filter((one) => one !== project);
    const isChosen = profile.profileId === profileId;
    if (!isChosen && !shownIn(project, profile).isDefault) continue;
    const defaultFor = isChosen ? [...others, project] : others;
    const isDefault = defaultFor.length > 0;
    await tx.profiles.put(profile.profileId, { ...profile, isDefault, defaultFor });
  }
}

/** Takes the default away from a profile that was saved with `setDefault` false. */
export async function dropDefault(
  tx: Collections,
  project: string,
  profile: SavedProfile,
): Promise<void> {
  const defaultFor = (profile.defaultFor ?? []).filter((one) => one !== project);
  await tx.profiles.put(profile.profileId, {
    ...profile,
    isDefault: defaultFor.length > 0,
    defaultFor,
  });
}
