import type { CallOptions } from '../../core/call.ts';
import { InputError } from '../../core/errors.ts';
import type { Offer } from '../../core/offer.ts';
import type { PodPlan } from '../../core/provider.ts';
import type { LambdaApi } from './api.ts';
import { planFileSystem } from './file-systems.ts';
import { type Shape, shapeOf } from './ids.ts';
import { userDataOf } from './user-data.ts';
import type { Image } from './wire.ts';

/** As long as a real one may be: RSA keys of 4096 bits. */
const LONG_KEY = `ssh-rsa ${'A'.repeat(740)} comment-of-a-usual-length`;
const MAX_LABEL_CHARS = 64;
/** What the default image does not bring. */
const NOT_IN_STACK: ReadonlyMap<string, string> = new Map([
  ['transformers', 'pip install transformers accelerate'],
  ['vllm', 'pip install vllm'],
]);

/** Refuses, before any call, what Lambda has no way to do. */
export function checkRequest(
  plan: Pick<PodPlan, 'template' | 'bidUsdPerHour' | 'ports' | 'image' | 'secretNames'> & {
    readonly registryLogin?: unknown;
  },
): void {
  if (plan.template !== undefined)
    throw new InputError('unsupported', 'Lambda has no templates.', {
      hint: 'Leave template out; use setup for what has to be installed.',
    });
  if ((plan.secretNames ?? []).length > 0)
    throw new InputError(
      'unsupported',
      'Lambda takes variables in the boot script alone, which is no place for a secret.',
      { hint: 'Leave secretEnv out here, and name the secret in secretEnv of job_start instead.' },
    );
  if (plan.bidUsdPerHour !== undefined)
    throw new InputError('invalid_input', 'Lambda takes no bids: every offer is on demand.', {
      hint: 'Leave bidUsdPerHour out.',
    });
  if (plan.ports.some((port) => !/^22(?:\/tcp)?$/.test(port)))
    throw new InputError('unsupported', 'A Lambda pod has no open port but that of SSH.', {
      hint: 'Leave ports out, and reach a service on the pod through an SSH forward. Its firewall is the account’s, and is left alone.',
    });
  if (plan.registryLogin !== undefined || /[/:]/.test(plan.image ?? ''))
    throw new InputError(
      'unsupported',
      'A Lambda pod is a whole machine: it runs no image of Docker.',
      {
        hint: 'Leave image and registryAuth out: it boots Ubuntu with driver, CUDA, PyTorch and Docker. Another image of Lambda is named by its family, like "lambda-stack-22-04".',
      },
    );
}

/** What Lambda would refuse, or do otherwise than somebody may think, before anybody is asked to pay. Notes in our own words. */
export async function checkPlan(
  api: LambdaApi,
  offer: Offer,
  plan: PodPlan,
  options: CallOptions,
): Promise<readonly string[]> {
  options.signal.throwIfAborted();
  checkRequest(plan);
  checkDisk(offer, plan.diskGb);
  userDataOf({ sshPublicKey: LONG_KEY, setup: plan.setup, env: plan.env });
  const shape = shapeOf(offer.offerId);
  if (shape === undefined) throw new InputError('offer_gone', 'Lambda has no such offer.');
  const image =
    plan.image === undefined ? undefined : await imageOf(api, plan.image, shape, options);
  const fileSystem =
    plan.volume === undefined
      ? undefined
      : await planFileSystem(api, plan.volume, shape.region, 'gl-new', options);
  const missing = NOT_IN_STACK.get(plan.workload ?? '');
  return [
    image === undefined
      ? 'It boots Lambda Stack: Ubuntu with driver, CUDA, PyTorch, TensorFlow, JAX and Docker. The login is ubuntu, with sudo.'
      : `It boots the Lambda image family ${image.family}. The login is ubuntu, with sudo.`,
    ...(missing === undefined
      ? []
      : [`${plan.workload ?? ''} is not in Lambda Stack: begin with "${missing}".`]),
    `The disk has ${offer.diskGb} GB, whatever diskGb says, and is deleted with the pod.`,
    'Lambda keeps no time limit and has no stop: only a server or the watcher that is up ends the pod at its deadline, so leave this machine on.',
    'A machine takes 3 to 5 minutes to start, one of eight GPUs 10 to 15.',
    ...(fileSystem?.notes ?? []),
  ];
}

export function checkDisk(offer: Offer, diskGb: number): void {
  if (diskGb > offer.diskGb)
    throw new InputError(
      'invalid_input',
      `diskGb is ${diskGb}, but this type of machine has a disk of ${offer.diskGb} GB.`,
      { hint: 'Ask for less, choose a larger type, or attach a volume.' },
    );
}

export function checkLabel(label: string): void {
  if (label === '' || label.length > MAX_LABEL_CHARS)
    throw new InputError('too_large', `The label needs 1 to ${MAX_LABEL_CHARS} characters.`);
}

/** An image of the region by its id or family. Throws `not_found`, and `unsupported` where only one for other processors is there. */
export async function imageOf(
  api: Pick<LambdaApi, 'images'>,
  wanted: string,
  { type, region }: Shape,
  options: CallOptions,
): Promise<Image> {
  const images = await api.images(options);
  const named = images.filter(
    ({ id, family, region: { name } }) => name === region && (id === wanted || family === wanted),
  );
  const architecture = /_g[hb]\d{3}/.test(type) ? 'arm64' : 'x86_64';
  const fitting = named.find((image) => image.architecture === architecture);
  if (fitting !== undefined) return fitting;
  if (named.length > 0)
    throw new InputError('unsupported', 'This Lambda image is for another kind of processor.', {
      hint: `Leave image out, or name one for ${architecture}.`,
    });
  throw new InputError('not_found', 'Lambda has no such image in the region of this offer.', {
    hint: 'Leave image out for Lambda Stack, or name a family that the Lambda Cloud console lists.',
  });
}
