import type { CallOptions } from '../../core/call.ts';
import { InputError } from '../../core/errors.ts';
import type { Offer } from '../../core/offer.ts';
import type { PodPlan } from '../../core/provider.ts';
import type { VastApi } from './api.ts';
import { checkRequest, isImage } from './create-body.ts';
import { onstartOf } from './onstart.ts';
import { resolveTemplate } from './templates.ts';
import { planVolume } from './volumes.ts';
import type { Template } from './wire.ts';

/** As long as a real one may be: RSA keys of 4096 bits. */
const LONG_KEY = `ssh-rsa ${'A'.repeat(740)} comment-of-a-usual-length`;
const LONG_NUMBER = 99_999_999_999;

/** What Vast.ai would refuse, or do wrong, before anybody is asked to pay. Answers what a person should know, in our words. */
export async function checkPlan(
  api: VastApi,
  apiUrl: string,
  offer: Offer,
  plan: PodPlan,
  options: CallOptions,
): Promise<readonly string[]> {
  options.signal.throwIfAborted();
  checkRequest(plan);
  checkBid(offer, plan);
  const template =
    plan.template === undefined ? undefined : await resolveTemplate(api, plan.template, options);
  onstartOf({
    apiUrl,
    onExpiry: 'destroy',
    madeSeconds: LONG_NUMBER,
    deadlineSeconds: LONG_NUMBER,
    sshPublicKey: LONG_KEY,
    envNames: Object.keys(plan.env),
    setup: plan.setup,
    templateOnstart: template?.onstart ?? undefined,
  });
  const volume =
    plan.volume === undefined
      ? undefined
      : await planVolume(api, plan.volume, offer.machineId, 'gl_new', options);
  return [...(template === undefined ? [] : notesOn(template, plan)), ...(volume?.notes ?? [])];
}

function checkBid(offer: Offer, { bidUsdPerHour }: PodPlan): void {
  if (offer.pricing === 'on_demand' && bidUsdPerHour !== undefined)
    throw new InputError('invalid_input', 'This offer is on demand and takes no bid.', {
      hint: 'Leave bidUsdPerHour out, or call find_offer with interruptible: true.',
    });
  if (offer.pricing !== 'interruptible') return;
  const least = offer.minBidUsdPerHour ?? 0;
  const told = least > 0 ? ` The lowest now is $${least.toFixed(4)} an hour.` : '';
  if (bidUsdPerHour === undefined)
    throw new InputError(
      'invalid_input',
      `An interruptible offer needs bidUsdPerHour: without a bid it would be rented on demand, at the full price.${told}`,
    );
  if (bidUsdPerHour < least)
    throw new InputError('invalid_input', `bidUsdPerHour is too low.${told}`);
}

/** Names of images hold no blanks, so they are the only foreign words that may stand in a note. */
function notesOn(template: Template, { diskGb }: PodPlan): readonly string[] {
  const { image, tag, recommended_disk_space: recommendedGb } = template;
  const name = tag == null || tag === '' || image?.includes(':') ? image : `${image ?? ''}:${tag}`;
  return [
    name != null && isImage(name)
      ? `The template runs the image "${name.slice(0, 120)}".`
      : 'The template chooses the image.',
    ...(recommendedGb != null && recommendedGb > diskGb
      ? [`The template asks for a disk of ${recommendedGb} GB; ${diskGb} GB may be too small.`]
      : []),
  ];
}
