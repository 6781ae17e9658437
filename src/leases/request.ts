import { InputError } from '../core/errors.ts';
import type { Lease, Terms } from '../core/lease.ts';
import type { PodPlan, PodRequest, RegistryLogin } from '../core/provider.ts';
import { named, parseVolume } from './volumes.ts';

/** What the order needs and no lease may hold. Read before the intent, so that nothing but the order follows it. */
export interface Supplies {
  readonly sshPublicKey: string;
  readonly secretEnv: Readonly<Record<string, string>>;
  readonly registryLogin?: RegistryLogin | undefined;
}

/** What a cloud is asked for. Empty texts are left out: some clouds take them for "wipe what the image starts with" (CR-10). */
export function requestOf(lease: Lease, supplies: Supplies): PodRequest {
  const { sshPublicKey, secretEnv, registryLogin } = supplies;
  const plan = planOf(lease.terms);
  return {
    ...plan,
    volume: named(plan.volume, lease.label),
    env: { ...envOf(lease.terms), ...secretEnv },
    offerId: lease.offer.offerId,
    label: lease.label,
    sshPublicKey,
    maxUsdPerHour: lease.usdPerHour,
    deadlineAt: lease.deadlineAt,
    onExpiry: lease.terms.onExpiry,
    registryLogin,
  };
}

/** The part of a request that can be checked before anybody is asked to pay. Throws `invalid_input`. */
export function planOf(terms: Terms): PodPlan {
  const template = given(terms.template);
  const image =
    template === undefined ? (given(terms.image) ?? given(terms.workloadImage)) : undefined;
  const volume = given(terms.volume);
  return {
    diskGb: terms.diskGb,
    image,
    template,
    workload: given(terms.workload),
    setup: given(terms.setup),
    env: envOf(terms),
    ...(terms.secretEnv.length === 0 ? {} : { secretNames: terms.secretEnv }),
    ports: portsOf(terms.ports),
    volume: volume === undefined ? undefined : parseVolume(volume).use,
    bidUsdPerHour: terms.bidUsdPerHour,
  };
}

/** Ports as "8888/http", "8000/tcp" or "53/udp", each once; a bare number is TCP. Throws `invalid_input` (CR-13). */
export function portsOf(ports: readonly string[]): readonly string[] {
  const read = ports.map((port) => {
    const [, digits = '', protocol = 'tcp'] = /^(\d{1,5})(?:\/(tcp|udp|http))?$/.exec(port) ?? [];
    const number = Number(digits);
    if (number < 1 || number > 65_535)
      throw new InputError('invalid_input', 'ports holds something that is no port.', {
        hint: 'Write each like "8888/http", "8000/tcp" or "53/udp", from 1 to 65535.',
      });
    return `${number}/${protocol}`;
  });
  return [...new Set(read)];
}

/** A text that says something. */
export function given(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text;
}

function envOf({ env }: Terms): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
}
