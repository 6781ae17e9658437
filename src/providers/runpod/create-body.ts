import { InputError } from '../../core/errors.ts';
import type { PodPlan, PodRequest } from '../../core/provider.ts';
import type { GpuRow } from './catalog.ts';
import type { OfferKey } from './offer-id.ts';
import type { Disks } from './prices.ts';
import type { TemplateRow } from './rows.ts';
import { LAST_END } from './translate.ts';

const MAX_LABEL_CHARS = 191;
const MAX_ENV = 50;
const MAX_HTTP_PORTS = 10;
const WORK_FOLDER = '/workspace';

/** Refuses what the cloud would refuse, or would take and do wrong. Throws `invalid_input` or `secret_refused`. */
export function checkRequest(plan: PodPlan): void {
  const { image, template, diskGb } = plan;
  if (image !== undefined && template !== undefined)
    throw new InputError(
      'invalid_input',
      'image and template exclude each other: a template brings its own image.',
    );
  if (image !== undefined && !/^[^\s\0]{1,512}$/.test(image))
    throw new InputError('invalid_input', 'image is not the name of a Docker image.', {
      hint: 'Write it like "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404" or "ghcr.io/org/name:tag".',
    });
  if (!(diskGb > 0)) throw new InputError('invalid_input', 'diskGb must be more than 0.');
  portsOf(plan.ports, []);
  checkEnv(plan.env);
}

function checkEnv(env: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw new InputError('invalid_input', 'env holds a name that is no variable name.', {
        hint: 'Use letters, digits and "_", and begin with a letter.',
      });
    if (/\brpa_[A-Za-z0-9]{16,}/.test(value))
      throw new InputError(
        'secret_refused',
        'env holds what looks like a key of a RunPod account: it would let everybody on the pod rent and destroy.',
        { hint: 'Leave it out: a pod has a key of its own in RUNPOD_API_KEY.' },
      );
  }
}

/** 22/tcp, those of the template and those that were asked for, each once. RunPod knows tcp and http, and takes ten of the latter. */
export function portsOf(
  wanted: readonly string[],
  ofTemplate: readonly string[],
): readonly string[] {
  const asked = wanted.map((port) => {
    const [, digits = '', kind = 'tcp'] = /^(\d{1,5})(?:\/(tcp|http|udp))?$/.exec(port) ?? [];
    const number = Number(digits);
    if (digits === '' || number < 1)
      throw new InputError('invalid_input', 'ports holds something that is no port.', {
        hint: 'Write ports like "8888/http" or "8000/tcp".',
      });
    if (kind === 'udp')
      throw new InputError('unsupported', 'RunPod opens no UDP ports.', {
        hint: 'Use a tcp or http port.',
      });
    return `${number}/${kind}`;
  });
  const known = ofTemplate.filter((port) => /^\d{1,5}\/(?:tcp|http)$/.test(port));
  const ports = [...new Set(['22/tcp', ...known, ...asked])];
  if (ports.filter((port) => port.endsWith('/http')).length > MAX_HTTP_PORTS)
    throw new InputError('invalid_input', `RunPod opens at most ${MAX_HTTP_PORTS} http ports.`);
  return ports;
}

/** The template's variables, then those asked for, then our key, which is added to a PUBLIC_KEY that is there already. */
export function envOf(
  { env, sshPublicKey }: Pick<PodRequest, 'env' | 'sshPublicKey'>,
  ofTemplate: Readonly<Record<string, string>>,
  lastEnd: string | undefined,
): Readonly<Record<string, string>> {
  const merged = { ...ofTemplate, ...env };
  const own = sshPublicKey.trim();
  const withOwn = (keys: string | undefined): string =>
    [
      ...(keys ?? '').split('\n').filter((line) => /^(?:ssh|ecdsa|sk)-/.test(line.trim())),
      own,
    ].join('\n');
  const all: Readonly<Record<string, string>> = {
    ...merged,
    PUBLIC_KEY: withOwn(merged['PUBLIC_KEY']),
    SSH_PUBLIC_KEY: own,
    ...(lastEnd === undefined ? {} : { [LAST_END]: lastEnd }),
  };
  const entries = Object.entries(all).filter(([, value]) => value !== '');
  if (entries.length > MAX_ENV)
    throw new InputError(
      'too_large',
      `env and the template have ${entries.length} variables in all; RunPod takes ${MAX_ENV}.`,
      { hint: 'Bring values over as a file with sync_files.' },
    );
  return Object.fromEntries(entries);
}

/** The CUDA that the tag of an image names: "…cuda12.4…", "…cu1281…", "…cu124…". */
export function cudaOfImage(image: string): string | undefined {
  const [, major, minor] =
    /cuda-?(\d{2})\.(\d{1,2})/i.exec(image) ??
    /[-_.:]cu(\d{2})(\d)\d?(?=[-_.]|$)/i.exec(image) ??
    [];
  return major === undefined || minor === undefined ? undefined : `${major}.${minor}`;
}

export interface Order {
  readonly key: OfferKey;
  readonly gpu: GpuRow;
  readonly label: string;
  readonly image?: string | undefined;
  readonly template?: TemplateRow | undefined;
  /** Absent: the image or the template starts as it would. */
  readonly startCommand?: string | undefined;
  readonly disks: Disks;
  readonly volume?: { readonly id: string; readonly mountPath: string } | undefined;
  readonly ports: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly registryId?: string | undefined;
  readonly bidUsdPerHour?: number | undefined;
  readonly onExpiry: 'destroy' | 'stop';
  readonly lastEnd?: string | undefined;
}

/** The input of `podFindAndDeployOnDemand` or `podRentInterruptable`. What is not wanted is left out, never empty and never null. */
export function graphqlInputOf(order: Order): Readonly<Record<string, unknown>> {
  const { key, gpu, volume, template, disks } = order;
  const cuda = cudaOfImage(order.image ?? template?.image ?? '');
  return {
    cloudType: key.cloud === 'secure' ? 'SECURE' : 'COMMUNITY',
    gpuTypeId: gpu.id,
    gpuCount: key.gpuCount,
    name: labelOf(order),
    containerDiskInGb: disks.containerDiskGb,
    volumeInGb: disks.volumeDiskGb,
    volumeMountPath: volume?.mountPath ?? template?.volumeMountPath ?? WORK_FOLDER,
    ports: order.ports.join(','),
    env: Object.entries(order.env).map(([name, value]) => ({ key: name, value })),
    supportPublicIp: true,
    startSsh: true,
    ...(template === undefined ? { imageName: order.image } : { templateId: template.id }),
    ...(order.startCommand === undefined ? {} : { dockerArgs: order.startCommand }),
    ...(key.dataCenterId === undefined ? {} : { dataCenterId: key.dataCenterId }),
    ...(volume === undefined ? {} : { networkVolumeId: volume.id }),
    ...(cuda === undefined ? {} : { minCudaVersion: cuda }),
    ...(order.registryId === undefined ? {} : { containerRegistryAuthId: order.registryId }),
    ...(order.lastEnd === undefined
      ? {}
      : { [order.onExpiry === 'destroy' ? 'terminateAfter' : 'stopAfter']: order.lastEnd }),
    ...(order.bidUsdPerHour === undefined ? {} : { bidPerGpu: order.bidUsdPerHour / key.gpuCount }),
  };
}

/** The body of `POST /v2/pods`, which knows neither bids nor an end of its own. */
export function restBodyOf(order: Order): Readonly<Record<string, unknown>> {
  const { key, gpu, volume, template, disks } = order;
  const cuda = cudaOfImage(order.image ?? template?.image ?? '');
  const path = volume?.mountPath ?? template?.volumeMountPath ?? WORK_FOLDER;
  return {
    name: labelOf(order),
    cloud: key.cloud === 'secure' ? 'SECURE' : 'COMMUNITY',
    gpu: {
      id: gpu.id,
      count: key.gpuCount,
      ...(cuda === undefined ? {} : { minCudaVersion: cuda }),
    },
    disk: disks.containerDiskGb,
    mounts:
      volume === undefined
        ? { persistent: { size: disks.volumeDiskGb, path } }
        : { network: [{ volumeId: volume.id, path }] },
    ports: order.ports,
    env: withoutEnd(order.env),
    startSsh: true,
    ...(template === undefined ? { image: order.image } : { templateId: template.id }),
    ...(order.startCommand === undefined ? {} : { args: order.startCommand }),
    ...(key.dataCenterId === undefined ? {} : { dataCenterIds: [key.dataCenterId] }),
    ...(order.registryId === undefined ? {} : { registry: order.registryId }),
  };
}

function labelOf({ label }: Order): string {
  if (label.length > MAX_LABEL_CHARS)
    throw new InputError('too_large', `The label is longer than ${MAX_LABEL_CHARS} characters.`);
  return label;
}

/** This interface is told of no end, so the pod says nothing of one. */
function withoutEnd(env: Order['env']): Order['env'] {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name !== LAST_END));
}
