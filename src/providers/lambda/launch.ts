import type { CallOptions, Clock } from '../../core/call.ts';
import { InputError, PolicyError, ProviderError } from '../../core/errors.ts';
import type { Offer } from '../../core/offer.ts';
import type { PodRequest } from '../../core/provider.ts';
import { nameOfKey } from './account.ts';
import type { LambdaApi } from './api.ts';
import { makeFileSystem, planFileSystem } from './file-systems.ts';
import { type Shape, shapeOf } from './ids.ts';
import { offerIn } from './offers.ts';
import { checkDisk, checkLabel, checkRequest, imageOf } from './plan.ts';
import { CREATED_TAG, LABEL_TAG } from './translate.ts';
import { userDataOf } from './user-data.ts';

export interface LaunchDeps {
  readonly api: LambdaApi;
  readonly clock: Clock;
}
/** Everything that one launch needs, checked. */
export interface Launch {
  readonly body: Readonly<Record<string, unknown>>;
  /** Values that no error may quote. */
  readonly secrets: readonly string[];
  readonly offer: Offer;
  /** A file system that was made for it. */
  readonly newFileSystemId?: string;
}

/**
 * Checks, prices afresh, registers the key, and makes the new file system last. Throws `offer_gone`, `no_capacity` for a region
 * where nothing of the type is free now, `price_changed`, and what `checkPlan` throws. Nothing that is charged exists after it failed.
 */
export async function prepareLaunch(
  { api, clock }: LaunchDeps,
  request: PodRequest,
  options: CallOptions,
): Promise<Launch> {
  checkRequest(request);
  checkLabel(request.label);
  const userData = userDataOf(request);
  const shape = shapeOf(request.offerId);
  if (shape === undefined) throw gone();
  const offer = await priced(api, shape, request, options);
  const { image, volume, label } = request;
  const picked = image === undefined ? undefined : await imageOf(api, image, shape, options);
  const keyName = await nameOfKey(api, request.sshPublicKey, options);
  const plan =
    volume === undefined
      ? undefined
      : await planFileSystem(api, volume, shape.region, freshName(label), options);
  const newFileSystemId =
    plan?.newName === undefined
      ? undefined
      : await makeFileSystem(api, plan, shape.region, options);
  const fileSystemId = plan?.id ?? newFileSystemId;
  return {
    body: {
      region_name: shape.region,
      instance_type_name: shape.type,
      ssh_key_names: [keyName],
      name: label,
      user_data: userData,
      tags: [
        { key: LABEL_TAG, value: label },
        { key: CREATED_TAG, value: String(Math.floor(clock.now().getTime() / 1000)) },
      ],
      ...(picked === undefined ? {} : { image: { id: picked.id } }),
      ...(plan === undefined
        ? {}
        : {
            file_system_mounts: [{ file_system_id: fileSystemId, mount_point: plan.mountPath }],
          }),
    },
    secrets: Object.values(request.env).filter((value) => value.length >= 8),
    offer,
    ...(newFileSystemId === undefined ? {} : { newFileSystemId }),
  };
}

async function priced(
  api: LambdaApi,
  shape: Shape,
  { maxUsdPerHour, diskGb }: PodRequest,
  options: CallOptions,
): Promise<Offer> {
  const types = await api.types(options);
  const offer = offerIn(types, shape);
  if (offer === undefined) {
    const isKnown = [...types.values()].some(({ instance_type: { name } }) => name === shape.type);
    if (!isKnown) throw gone();
    throw new ProviderError(
      'no_capacity',
      'Lambda has no machine of this type free in this region any more. Nothing was rented.',
    );
  }
  checkDisk(offer, diskGb);
  if (offer.usdPerHour > maxUsdPerHour * 1.001 + 0.000_01)
    throw new PolicyError(
      'price_changed',
      `The offer now costs $${offer.usdPerHour.toFixed(4)} an hour, more than the $${maxUsdPerHour.toFixed(4)} that were agreed. Nothing was rented.`,
    );
  return offer;
}

function gone(): InputError {
  return new InputError('offer_gone', 'Lambda has no such offer any more.');
}

/** A name for a file system: letters, digits and "-". */
function freshName(label: string): string {
  return `gl-${label.replace(/[^A-Za-z0-9-]/g, '-')}`.slice(0, 60);
}
