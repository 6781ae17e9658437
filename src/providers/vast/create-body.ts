import { Buffer } from 'node:buffer';
import { InputError } from '../../core/errors.ts';
import type { PodPlan, PodRequest, RegistryLogin } from '../../core/provider.ts';
import type { Template } from './wire.ts';

const MIN_DISK_GB = 8;
const MAX_PORTS = 64;
const MAX_ENV_BYTES = 32_768;
const MAX_IMAGE_CHARS = 1024;
const MAX_LABEL_CHARS = 256;
const BID_USD = { least: 0.001, most: 128 };

/** name[:tag][@digest]; a registry before it has a dot or a port, or is this machine. */
const IMAGE =
  /^(?:(?:[a-zA-Z0-9-]+\.[a-zA-Z0-9.-]+|localhost|[a-zA-Z0-9-]+(?=:))(?::\d{1,5})?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::@?[\w][\w.-]{0,127})?(?:@sha256:[a-f0-9]{64})?$/;

/** Says whether this can be an image. Long enough names are refused before the pattern sees them. */
export function isImage(text: string): boolean {
  return text.length <= MAX_IMAGE_CHARS && IMAGE.test(text);
}

/** Refuses what the cloud would refuse, or would take and silently do without. */
export function checkRequest(plan: PodPlan): void {
  const { image, template, diskGb, bidUsdPerHour } = plan;
  if ((image === undefined) === (template === undefined))
    throw new InputError(
      'invalid_input',
      image === undefined
        ? 'A Vast.ai pod needs an image or a template.'
        : 'image and template exclude each other: a template brings its own image.',
    );
  if (image !== undefined && !isImage(image))
    throw new InputError('invalid_input', 'image is not the name of a Docker image.', {
      hint: 'Write it like "pytorch/pytorch:2.4.0-cuda12.4-cudnn9-devel" or "ghcr.io/org/name:tag".',
    });
  if (diskGb < MIN_DISK_GB)
    throw new InputError('invalid_input', `diskGb must be at least ${MIN_DISK_GB} at Vast.ai.`);
  const isBid = bidUsdPerHour === undefined || isWithin(bidUsdPerHour, BID_USD);
  if (!isBid)
    throw new InputError(
      'invalid_input',
      `bidUsdPerHour must be between ${BID_USD.least} and ${BID_USD.most}.`,
    );
  envOf(plan);
}

function isWithin(value: number, { least, most }: typeof BID_USD): boolean {
  return value >= least && value <= most;
}

/**
 * Variables and ports as the one object that Vast.ai takes: a name that is no variable would be read as a docker option, so it is
 * refused. 22/tcp is there without asking.
 */
export function envOf({
  env,
  ports,
}: Pick<PodPlan, 'env' | 'ports'>): Readonly<Record<string, string>> {
  const wanted = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw new InputError('invalid_input', 'env holds a name that is no variable name.', {
        hint: 'Use letters, digits and "_", and begin with a letter.',
      });
    wanted.set(name, value);
  }
  const opened = new Set(ports.map(portOption).filter((option) => option !== undefined));
  if (opened.size > MAX_PORTS)
    throw new InputError('invalid_input', `Vast.ai opens at most ${MAX_PORTS} ports.`);
  for (const option of opened) wanted.set(option, '1');
  const object = Object.fromEntries(wanted);
  if (Buffer.byteLength(JSON.stringify(object)) > MAX_ENV_BYTES)
    throw new InputError('too_large', 'env and ports together are longer than 32 KB.', {
      hint: 'Bring long values over as a file with sync_files.',
    });
  return object;
}

/** "8888", "8888/tcp", "8888/http" or "5000/udp". 70000 and above ask for the same number outside. */
function portOption(port: string): string | undefined {
  const [, digits = '', kind = 'tcp'] = /^(\d{1,5})(?:\/(tcp|http|udp))?$/.exec(port) ?? [];
  const number = Number(digits);
  if (digits === '' || number < 1 || (number > 65_535 && number < 70_000))
    throw new InputError('invalid_input', 'ports holds something that is no port.', {
      hint: 'Write ports like "8888/tcp", "8000/http" or "5000/udp".',
    });
  if (number === 22 && kind !== 'udp') return undefined;
  return `-p ${number}:${number}${kind === 'udp' ? '/udp' : ''}`;
}

/** The arguments of `docker login`, which cannot hold a blank. */
export function imageLoginOf({ host, username, password }: RegistryLogin): string {
  if ([host, username, password].some((word) => word === '' || /\s/.test(word)))
    throw new InputError(
      'invalid_input',
      'A registry login for Vast.ai needs a host, a user and a password without blanks.',
    );
  return `-u ${username} -p ${password} ${host}`;
}

export interface BodyParts {
  readonly onstart: string;
  readonly template?: Template | undefined;
  readonly volumeInfo?: unknown;
}

/** The body of a creation. What is not wanted is left out, never empty and never null: null would ask for on-demand. */
export function createBodyOf(
  request: PodRequest,
  parts: BodyParts,
): Readonly<Record<string, unknown>> {
  const { image, diskGb, label, bidUsdPerHour, registryLogin } = request;
  if (label.length > MAX_LABEL_CHARS)
    throw new InputError('too_large', `The label is longer than ${MAX_LABEL_CHARS} characters.`);
  const { onstart, template, volumeInfo } = parts;
  return {
    disk: diskGb,
    label,
    onstart,
    env: envOf(request),
    target_state: 'running',
    cancel_unavail: true,
    ...(template === undefined
      ? { image, runtype: 'ssh_direct' }
      : { template_hash_id: template.hash_id, ...runtypeOf(template) }),
    ...(bidUsdPerHour === undefined ? {} : { price: bidUsdPerHour }),
    ...(registryLogin === undefined ? {} : { image_login: imageLoginOf(registryLogin) }),
    ...(volumeInfo === undefined ? {} : { volume_info: volumeInfo }),
  };
}

/** The template decides, but plain SSH through the proxy is made direct. */
function runtypeOf({ runtype, ssh_direct: isDirect }: Template): { readonly runtype?: string } {
  return runtype === 'ssh' && isDirect !== true ? { runtype: 'ssh_direct' } : {};
}
