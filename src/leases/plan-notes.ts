import type { Terms } from '../core/lease.ts';
import type { Offer } from '../core/offer.ts';
import { given } from './request.ts';
import { imageByName, troubleWith } from './workloads.ts';

/** States the image (CR-06), and which offers will not run it. */
export function imageNotes(terms: Terms, offers: readonly Offer[]): readonly string[] {
  if (given(terms.template) !== undefined) return [];
  const image = given(terms.image) ?? given(terms.workloadImage);
  if (image === undefined) return [];
  const known = imageByName(image, given(terms.workload));
  const stated = given(terms.image) === undefined ? [`The image is ${image}.`] : [];
  if (known === undefined) return stated;
  return [
    ...stated,
    ...(known.note === undefined ? [] : [known.note]),
    ...offers.flatMap((offer) => {
      const trouble = offer.rehearsal === true ? undefined : troubleWith(known, offer);
      return trouble === undefined ? [] : [`${offer.offerId}: ${trouble}.`];
    }),
  ];
}

const MAIN_JOB =
  /\b(?:torchrun|deepspeed|accelerate\s+launch|nohup)\b|\bpython3?\s+(?:-u\s+)?\S*(?:train|finetune|fine_tune|pretrain|main)\S*\.py\b|\bvllm\s+serve\b|--(?:num_)?(?:train_)?epochs\b/i;

/** What of the boot script and the variables will not do what it seems to (CR-09, CR-11). */
export function setupNotes({ setup = '', env, secretEnv }: Terms): readonly string[] {
  const empty = Object.keys(env).filter((name) => env[name] === '');
  return [
    ...(MAIN_JOB.test(setup)
      ? [
          'setup looks like the main job. It runs again at every start and its output is not kept: start long work with job_start (CR-09).',
        ]
      : []),
    ...(secretEnv.length > 0
      ? [
          `The cloud keeps the values of ${secretEnv.join(', ')} with the pod. A secret of one job is better named in job_start, which leaves no copy.`,
        ]
      : []),
    ...(empty.length > 0 ? [`Empty variables are not sent: ${empty.join(', ')}.`] : []),
  ];
}
