import type { ProviderPod } from '../../core/provider.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import { isHost, isPublic } from '../address.ts';
import { podIdOf } from './ids.ts';
import type { Instance } from './wire.ts';

const USER = 'ubuntu';
const SSH_PORT = 22;
/** Lambda tells no time of creation, so the launch writes it down. */
export const LABEL_TAG = 'gpu-lease:label';
export const CREATED_TAG = 'gpu-lease:created';

type Situation = Pick<ProviderPod, 'status' | 'problem' | 'isHopeless' | 'blame'>;

/** These are no machines any more: nothing is charged, nothing can be reached, and lists drop them some minutes later. */
const ENDED = new Set(['terminated', 'preempted']);
export const isEnded = ({ status }: Instance): boolean => ENDED.has(status);

const SITUATIONS: ReadonlyMap<string, Situation> = new Map<string, Situation>([
  ['booting', { status: 'provisioning' }],
  ['active', { status: 'running' }],
  [
    'unhealthy',
    {
      status: 'unknown',
      problem:
        'Lambda calls this machine unhealthy. It may come back by itself, and is charged meanwhile.',
      blame: 'host',
    },
  ],
  ['terminating', { status: 'unknown', problem: 'It is being removed.', isHopeless: true }],
]);

/** The label that the launch gave, whatever the machine is called by now. */
export function labelOf({ tags, name }: Instance): string {
  return tagOf(tags, LABEL_TAG) ?? name ?? '';
}

/** What Lambda says about an instance, in the words of the port. `isLocal`: the cloud is on this machine, and so are its pods. Pure. */
export function toPod(row: Instance, isLocal: boolean): ProviderPod {
  const podId = podIdOf(row.id);
  const situation = SITUATIONS.get(row.status) ?? {
    status: 'unknown',
    problem: 'Lambda tells a state that is not known here.',
  };
  const createdAt = isoOf(tagOf(row.tags, CREATED_TAG));
  const host = row.ip?.trim() ?? '';
  const isUp = row.status === 'active' || row.status === 'unhealthy';
  const port = isLocal ? (row.ssh_port ?? SSH_PORT) : SSH_PORT;
  const hasAddress = isUp && isHost(host) && (isLocal || isPublic(host));
  return {
    podId,
    label: labelOf(row),
    usdPerHour: (row.instance_type?.price_cents_per_hour ?? 0) / 100,
    ...situation,
    ...(hasAddress
      ? {
          endpoint: { podId, host, port, user: USER, route: 'direct' },
          portMappings: [`${SSH_PORT}/tcp -> ${host}:${port}`],
        }
      : {}),
    ...(createdAt === undefined ? {} : { createdAt }),
    detail: quoteForeign(row.status, 100),
  };
}

function tagOf(tags: Instance['tags'], key: string): string | undefined {
  return tags?.find((tag) => tag.key === key)?.value;
}

function isoOf(epochSeconds: string | undefined): string | undefined {
  return epochSeconds !== undefined && /^\d{10}$/.test(epochSeconds)
    ? new Date(Number(epochSeconds) * 1000).toISOString()
    : undefined;
}
