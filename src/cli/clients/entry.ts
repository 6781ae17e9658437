import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';

/** Any object of settings, its values unread. */
export const settingsSchema = z.record(z.string(), z.unknown());
export type Settings = Readonly<z.output<typeof settingsSchema>>;

/** Settings that we must not touch, and why. The file stays as it is. */
export class RefusedEdit extends Error {}

export interface Edit {
  readonly container: string;
  readonly name: string;
  /** Absent: remove the entry. What the person added to it (env, time limits) is kept. */
  readonly entry?: Settings | undefined;
}

/** The entry as the settings hold it now. Refuses a container that is no object. */
export function entryIn(settings: Settings, edit: Edit): Settings | undefined {
  const container = settings[edit.container];
  if (container === undefined) return undefined;
  const entries = settingsSchema.safeParse(container);
  if (!entries.success) throw new RefusedEdit(`"${edit.container}" is not an object.`);
  const entry = entries.data[edit.name];
  if (entry === undefined) return undefined;
  const parsed = settingsSchema.safeParse(entry);
  if (!parsed.success) throw new RefusedEdit(`The entry "${edit.name}" is not an object.`);
  return parsed.data;
}

/** The entry that shall be there afterwards. */
export function wantedEntry(before: Settings, edit: Edit): Settings | undefined {
  return edit.entry === undefined ? undefined : { ...entryIn(before, edit), ...edit.entry };
}

/** The last guard before a file is written: the entry is as wanted, and nothing else has changed its meaning. */
export function checkEdited(before: Settings, after: Settings, edit: Edit): void {
  if (!isDeepStrictEqual(entryIn(after, edit), wantedEntry(before, edit)))
    throw new RefusedEdit('The entry did not land where the client would look for it.');
  if (!isDeepStrictEqual(without(before, edit), without(after, edit)))
    throw new RefusedEdit('The edit would have changed other settings.');
}

/** Everything but our entry; an empty container counts as none. */
function without(settings: Settings, edit: Edit): Settings {
  const { [edit.container]: container, ...rest } = settings;
  const others = Object.entries(settingsSchema.catch({}).parse(container)).filter(
    ([name]) => name !== edit.name,
  );
  return others.length === 0 ? rest : { ...rest, [edit.container]: Object.fromEntries(others) };
}
