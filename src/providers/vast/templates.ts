import type { CallOptions } from '../../core/call.ts';
import { InputError } from '../../core/errors.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import type { VastApi } from './api.ts';
import type { Template } from './wire.ts';

const MAX_CANDIDATES = 10;

/**
 * Finds a template by hash, number or name, the account's and the public ones. A hash is always fetched too: only so is it known
 * to exist and to let SSH in. Throws `not_found`, `invalid_input` when a name fits several, `unsupported` without SSH.
 */
export async function resolveTemplate(
  api: Pick<VastApi, 'templates'>,
  wanted: string,
  options: CallOptions,
): Promise<Template> {
  const found = await api.templates(filterOf(wanted), options);
  const matching = found.filter(
    ({ hash_id, id, name }) => hash_id === wanted || String(id) === wanted || name === wanted,
  );
  const [template] = matching;
  if (template === undefined)
    throw new InputError('not_found', 'Vast.ai has no such template that this account can use.', {
      hint: 'Give the hash, the number or the exact name of a template, or an image instead.',
    });
  const hashes = new Set(matching.map(({ hash_id }) => hash_id));
  if (hashes.size > 1)
    throw new InputError('invalid_input', `${hashes.size} templates have this name.`, {
      hint: 'Give the hash or the number of the one that is meant, quoted below.',
      foreignText: quoteForeign(
        matching
          .slice(0, MAX_CANDIDATES)
          .map(({ hash_id, id, image }) => `${id} ${hash_id} ${image ?? ''}`)
          .join('\n'),
      ),
    });
  if (!letsSshIn(template))
    throw new InputError(
      'unsupported',
      'This template starts its own program without SSH, so nothing could work on the pod.',
      { hint: 'Choose a template with launch mode SSH or Jupyter, or give an image instead.' },
    );
  return template;
}

function filterOf(wanted: string): unknown {
  if (/^\d{1,12}$/.test(wanted)) return { id: { eq: Number(wanted) } };
  if (/^[0-9a-f]{32,64}$/.test(wanted)) return { hash_id: { eq: wanted } };
  return { name: { eq: wanted } };
}

/** A template without a launch mode has the mode `args`, which keeps the image's own program and starts no SSH. */
function letsSshIn({ runtype, use_ssh: usesSsh }: Template): boolean {
  const mode = runtype ?? 'args';
  return usesSsh === true || mode.startsWith('ssh') || mode.startsWith('jupyter');
}
