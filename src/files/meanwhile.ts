import { count } from '../core/count.ts';
import { InputError, RemoteError } from '../core/errors.ts';
import type { CarriedOut } from './carry-out.ts';
import { amountOf, type PlannedFile } from './sync-plan.ts';
import type { Skipped } from './walk.ts';

const SHOWN = 5;
const BESIDE =
  'Another server was sending to the same place at the same time: what is there now may be a mix of both. Call again when it is done.';
const VANISHED = 'vanished while it was being sent';

/** What is left out since it is no file any more. */
export function vanishedOf(files: CarriedOut['vanished']): readonly Skipped[] {
  return files.map(({ path }) => ({ path, why: VANISHED }));
}

/** What is said of files that did not stay as they were while they were sent. */
export function meanwhileWords({
  vanished,
  grown,
  isBeside,
}: Pick<CarriedOut, 'vanished' | 'grown' | 'isBeside'>): readonly string[] {
  return [
    ...(isBeside ? [BESIDE] : []),
    ...(vanished.length === 0
      ? []
      : [
          `${count(vanished.length, 'file')} vanished here while being sent, and ${vanished.length === 1 ? 'is' : 'are'} left out: ${namesOf(vanished)}. All others are in place.`,
        ]),
    ...(grown.length === 0
      ? []
      : [
          `${count(grown.length, 'file')} went on growing while being sent: the pod has what ${grown.length === 1 ? 'it' : 'each'} was at one moment of this call: ${namesOf(grown, ({ bytes }) => ` (first ${bytes} bytes)`)}.`,
        ]),
  ];
}

/** Throws `path_missing` when every file that was found is gone. */
export function refuseAllVanished(
  files: readonly PlannedFile[],
  { vanished }: Pick<CarriedOut, 'vanished'> = { vanished: [] },
): void {
  if (vanished.length < files.length) return;
  const names = vanished.length === 0 ? '' : `: ${namesOf(vanished)}`;
  throw new InputError('path_missing', `Every file of localPath vanished meanwhile${names}.`, {
    hint: 'Call again when they are there.',
  });
}

/** Throws `checksum_mismatch` when some never were the same for long enough to be sent; what is there is told. */
export function refuseUnsettled(
  { unsettled }: Pick<CarriedOut, 'unsettled'>,
  there: readonly PlannedFile[],
): void {
  if (unsettled.length === 0) return;
  const [have, keep] = [there.length === 1 ? 'is' : 'are', unsettled.length === 1 ? 's' : ''];
  throw new RemoteError(
    'checksum_mismatch',
    `${count(unsettled.length, 'file')} keep${keep} changing while being sent: ${namesOf(unsettled)}. ${amountOf(there)} ${have} on the pod and verified.`,
    {
      hint: 'Exclude what keeps changing, or call again when it no longer does: what is on the pod is not sent again.',
    },
  );
}

function namesOf<File extends PlannedFile>(
  files: readonly File[],
  wordOf: (file: File) => string = () => '',
): string {
  const names = files.slice(0, SHOWN).map((file) => `${JSON.stringify(file.path)}${wordOf(file)}`);
  return files.length > SHOWN
    ? `${names.join(', ')} and ${files.length - SHOWN} more`
    : names.join(', ');
}
