import { createHash } from 'node:crypto';
import type { CallOptions, Clock } from '../../core/call.ts';
import { InputError, PolicyError } from '../../core/errors.ts';
import type { Offer } from '../../core/offer.ts';
import type { PodPlan, PodRequest, RegistryLogin } from '../../core/provider.ts';
import type { GpuRow } from './catalog.ts';
import type { CatalogApi } from './catalog-api.ts';
import { checkRequest, envOf, type Order, portsOf } from './create-body.ts';
import { type OfferKey, offerKeyOf } from './offer-id.ts';
import { disksFor, diskUsdPerHour } from './prices.ts';
import type { TemplateRow } from './rows.ts';
import { startCommandOf, startOfTemplate } from './start-command.ts';
import { resolveTemplate } from './templates.ts';
import type { RunpodAddresses, Transport } from './transport.ts';
import { registryIdFor } from './volume-api.ts';
import { checkVolumeUse } from './volumes.ts';

/**
 * RunPod is asked to end the pod itself too, but its end cannot be moved: so it lies after ours, to leave room for a longer
 * lease. Where no timer of ours runs on the pod it is the only one that holds without us, and lies close.
 */
const LAST_END_MARGIN_SECONDS = { withTimer: 24 * 3600, alone: 15 * 60 };

export interface PrepareDeps extends RunpodAddresses {
  readonly api: Pick<CatalogApi, 'template'>;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly apiKey: string;
  readonly defaultTemplate: string;
  readonly sold: (key: OfferKey, diskGb: number, options: CallOptions) => Promise<Sold | undefined>;
}
/** What an offer means now. */
export interface Sold {
  readonly gpu: GpuRow;
  readonly offer: Offer;
}
export interface Prepared {
  readonly order: Order;
  readonly volumeIn?: string | undefined;
  /** What the pod should cost, disks and all. */
  readonly usdPerHour: number;
}

/** The offer's own terms against what is asked of it. Asks nobody. Throws `invalid_input`, `offer_gone` or `unsupported`. */
export function checkTerms(
  offerId: PodRequest['offerId'],
  plan: Pick<PodPlan, 'volume' | 'bidUsdPerHour'>,
): OfferKey {
  const key = offerKeyOf(offerId);
  if (key === undefined) throw new InputError('offer_gone', 'RunPod has no such offer.');
  if (plan.volume !== undefined) checkVolumeUse(plan.volume, key);
  if (key.isSpot && plan.bidUsdPerHour === undefined)
    throw new InputError('invalid_input', 'An interruptible offer needs bidUsdPerHour.', {
      hint: 'Give at least minBidUsdPerHour of the offer, or choose an offer on demand.',
    });
  if (!key.isSpot && plan.bidUsdPerHour !== undefined)
    throw new InputError('invalid_input', 'This offer is on demand and takes no bid.', {
      hint: 'Leave bidUsdPerHour out, or call find_offer with interruptible: true.',
    });
  return key;
}

/** Everything a creation sends, with every refusal that can be foreseen; nothing is made but a registry login. */
export async function prepare(
  deps: PrepareDeps,
  request: PodRequest,
  options: CallOptions,
): Promise<Prepared> {
  checkRequest(request);
  const key = checkTerms(request.offerId, request);
  const sold = await deps.sold(key, request.diskGb, options);
  if (sold === undefined)
    throw new InputError('offer_gone', 'RunPod has no such GPU free there any more.');
  const template = await templateFor(deps, request, options);
  const disks = disksFor(request.diskGb, request.volume !== undefined, template?.containerDiskGb);
  const gpuUsd = request.bidUsdPerHour ?? sold.offer.gpuUsdPerHour ?? sold.offer.usdPerHour;
  const usdPerHour = gpuUsd + diskUsdPerHour(disks);
  refuseDearer(usdPerHour, request, sold.offer);
  const startCommand = startFor(deps, request, template);
  const margin = LAST_END_MARGIN_SECONDS[startCommand === undefined ? 'alone' : 'withTimer'] * 1000;
  const lastEnd = new Date(Date.parse(request.deadlineAt) + margin).toISOString();
  const registryId =
    request.registryLogin === undefined
      ? undefined
      : await registryIdFor(deps.transport, credentialOf(request.registryLogin, deps), options);
  const { label, onExpiry, image, bidUsdPerHour, ports } = request;
  return {
    usdPerHour,
    ...(request.volume === undefined ? {} : { volumeIn: key.dataCenterId }),
    order: {
      key,
      gpu: sold.gpu,
      label,
      onExpiry,
      ...(template === undefined ? { image } : { template }),
      ...(startCommand === undefined ? {} : { startCommand }),
      disks,
      ports: portsOf(ports, template?.ports ?? []),
      env: envOf(request, template?.env ?? {}, lastEnd),
      lastEnd,
      ...(registryId === undefined ? {} : { registryId }),
      ...(bidUsdPerHour === undefined ? {} : { bidUsdPerHour }),
    },
  };
}

/** Without an image and a template there is one that is known to work. */
export async function templateFor(
  { api, defaultTemplate }: Pick<PrepareDeps, 'api' | 'defaultTemplate'>,
  { image, template }: Pick<PodPlan, 'image' | 'template'>,
  options: CallOptions,
): Promise<TemplateRow | undefined> {
  const wanted = template ?? (image === undefined ? defaultTemplate : undefined);
  return wanted === undefined ? undefined : resolveTemplate(api, wanted, options);
}

/** `undefined`: a template whose start cannot be joined. Then there is no timer on the pod, and no place for a setup. */
export function startFor(
  { graphqlUrl, restUrl, clock }: Pick<PrepareDeps, 'graphqlUrl' | 'restUrl' | 'clock'>,
  request: Pick<PodRequest, 'deadlineAt' | 'onExpiry' | 'sshPublicKey' | 'setup'>,
  template: TemplateRow | undefined,
): string | undefined {
  const start = template === undefined ? undefined : startOfTemplate(template);
  if (start?.kind === 'untouchable') {
    if (request.setup === undefined || request.setup.trim() === '') return undefined;
    throw new InputError(
      'unsupported',
      'This template starts a program of its own, which a setup script would replace.',
      { hint: 'Leave setup out and run it as the first job, or give an image instead.' },
    );
  }
  return startCommandOf({
    graphqlUrl,
    restUrl,
    onExpiry: request.onExpiry,
    madeSeconds: Math.floor(clock.now().getTime() / 1000),
    deadlineSeconds: Math.floor(Date.parse(request.deadlineAt) / 1000),
    sshPublicKey: request.sshPublicKey,
    setup: request.setup,
    ...(start?.kind === 'then' ? { then: start.command } : {}),
  });
}

export function isDearer(usdPerHour: number, agreed: number): boolean {
  return usdPerHour > agreed + Math.max(0.0005, Math.abs(agreed) * 0.001);
}

function refuseDearer(usdPerHour: number, request: PodRequest, offer: Offer): void {
  const { maxUsdPerHour, bidUsdPerHour } = request;
  if (isDearer(usdPerHour, maxUsdPerHour))
    throw new PolicyError(
      'price_changed',
      `The offer now costs $${usdPerHour.toFixed(4)} an hour, more than the $${maxUsdPerHour.toFixed(4)} that were agreed. Nothing was rented.`,
    );
  const least = offer.minBidUsdPerHour ?? 0;
  if (bidUsdPerHour !== undefined && bidUsdPerHour < least)
    throw new InputError(
      'invalid_input',
      `The lowest bid for this offer is now $${least.toFixed(4)} an hour.`,
    );
}

/** The same login has the same name, which tells nothing of it. */
function credentialOf(
  { host, username, password }: RegistryLogin,
  { apiKey }: Pick<PrepareDeps, 'apiKey'>,
): { readonly name: string; readonly username: string; readonly password: string } {
  const print = createHash('sha256').update([apiKey, host, username, password].join('\0'));
  return { name: `gpu-lease-${print.digest('hex').slice(0, 16)}`, username, password };
}
