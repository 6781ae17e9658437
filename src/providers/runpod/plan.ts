import type { CallOptions } from '../../core/call.ts';
import { InputError } from '../../core/errors.ts';
import type { Offer } from '../../core/offer.ts';
import type { PodPlan } from '../../core/provider.ts';
import type { Catalog } from './catalog.ts';
import { checkRequest, portsOf } from './create-body.ts';
import { checkTerms, type PrepareDeps, startFor, templateFor } from './prepare.ts';
import { disksFor, networkVolumeUsdPerMonth } from './prices.ts';
import type { TemplateRow } from './rows.ts';
import type { VolumeApi } from './volume-api.ts';
import { existingVolume, type StorageMemory } from './volumes.ts';

/** As long as a real one may be: RSA keys of 4096 bits. */
const LONG_KEY = `ssh-rsa ${'A'.repeat(740)} comment-of-a-usual-length`;
const FAR_OFF = '2100-01-01T00:00:00.000Z';

export interface PlanDeps
  extends Pick<PrepareDeps, 'api' | 'clock' | 'graphqlUrl' | 'restUrl' | 'defaultTemplate'> {
  readonly volumeApi: Pick<VolumeApi, 'list'>;
  readonly storage: Pick<StorageMemory, 'all'>;
  readonly catalog: (gpuCount: number, options: CallOptions) => Promise<Catalog>;
}

/** What RunPod would refuse, or do wrong, before anybody is asked to pay. Answers what a person should know, in our words. */
export async function checkPlan(
  deps: PlanDeps,
  offer: Offer,
  plan: PodPlan,
  options: CallOptions,
): Promise<readonly string[]> {
  options.signal.throwIfAborted();
  checkRequest(plan);
  const key = checkTerms(offer.offerId, plan);
  const least = offer.minBidUsdPerHour ?? 0;
  if (plan.bidUsdPerHour !== undefined && plan.bidUsdPerHour < least)
    throw new InputError(
      'invalid_input',
      `bidUsdPerHour is too low. The lowest now is $${least.toFixed(4)} an hour.`,
    );
  const template = await templateFor(deps, plan, options);
  portsOf(plan.ports, template?.ports ?? []);
  const start = startFor(
    deps,
    { deadlineAt: FAR_OFF, onExpiry: 'destroy', sshPublicKey: LONG_KEY, setup: plan.setup },
    template,
  );
  return [
    ...(key.dataCenterId === undefined ? [] : await placeNotes(deps, key, options)),
    ...diskNotes(plan, template),
    ...(template === undefined ? imageNotes(plan) : templateNotes(template, plan)),
    ...(start === undefined
      ? [
          'The template starts a program of its own, so no timer of ours can be put on the pod. With no server of ours running, only RunPod would end it, 15 minutes after the deadline; that it does so is not proven, and a deadline moved later does not move that end.',
        ]
      : []),
    ...(await volumeNotes(deps, plan, key.dataCenterId, options)),
    ...(key.isSpot
      ? [
          'Interruptible: a higher bid stops the pod within seconds. /workspace is kept and charged, the rest is lost.',
        ]
      : []),
    ...(key.cloud === 'community'
      ? [
          'Community cloud: the machine belongs to a private owner, who could look at what is on it.',
        ]
      : []),
  ];
}

async function placeNotes(
  { catalog }: PlanDeps,
  key: ReturnType<typeof checkTerms>,
  options: CallOptions,
): Promise<readonly string[]> {
  const { dataCenters } = await catalog(key.gpuCount, options);
  const place = dataCenters.find(({ id }) => id === key.dataCenterId);
  if (place?.isCreatable === false)
    throw new InputError('unsupported', 'This data center shows stock but takes no new pods.', {
      hint: 'Choose an offer in another data center, or one that leaves the place open.',
    });
  return [
    `The offer is bound to ${key.dataCenterId ?? ''}. An offer that leaves the place open finds a machine more often.`,
  ];
}

function diskNotes(
  { diskGb, volume }: PodPlan,
  template: TemplateRow | undefined,
): readonly string[] {
  const { containerDiskGb, volumeDiskGb } = disksFor(
    diskGb,
    volume !== undefined,
    template?.containerDiskGb,
  );
  return volume === undefined
    ? [
        `/workspace has ${volumeDiskGb} GB that a stop keeps; the rest of the container has ${containerDiskGb} GB that a stop wipes.`,
      ]
    : [`The container has ${containerDiskGb} GB that a stop wipes.`];
}

function imageNotes({ image = '' }: PodPlan): readonly string[] {
  return /^runpod\//i.test(image)
    ? []
    : [
        'The pod starts an SSH server in the place of the image’s own program. Where the image has none, it is installed at every start, which takes a minute and needs an image with a package manager and root.',
      ];
}

/** Names of images hold no blanks, so they are the only foreign words that may stand in a note. */
function templateNotes(template: TemplateRow, plan: PodPlan): readonly string[] {
  const { image, ports, id } = template;
  const isDefault = plan.template === undefined;
  const runs = /^[\w./:@-]{1,120}$/.test(image) ? `runs the image "${image}"` : 'chooses the image';
  return [
    isDefault ? `Template ${id} ${runs}.` : `The template ${runs}.`,
    ...(ports.includes('22/tcp')
      ? []
      : ['The template does not open 22/tcp; it is opened for this pod.']),
  ];
}

async function volumeNotes(
  { volumeApi, storage }: PlanDeps,
  { volume }: PodPlan,
  dataCenterId: string | undefined,
  options: CallOptions,
): Promise<readonly string[]> {
  if (volume === undefined || dataCenterId === undefined) return [];
  await existingVolume(volumeApi, volume, dataCenterId, options);
  if (!('newGb' in volume))
    return ['The volume is shared: other pods may write to it at the same time.'];
  const price = networkVolumeUsdPerMonth(volume.newGb).toFixed(2);
  return [
    `The new volume of ${volume.newGb} GB (about $${price} a month) is charged beside the pod, and goes on being charged after the pod is destroyed, until it is removed.`,
    ...(storage.all().has(dataCenterId)
      ? [`${dataCenterId} refused a volume in the last 24 hours: it may do so again.`]
      : []),
  ];
}
