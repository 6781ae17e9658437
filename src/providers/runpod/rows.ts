import type { GraphqlPod } from './wire.ts';
import type { OldPod, RestPod, RestTemplate } from './wire-rest.ts';

/** One way to a port of a pod, as RunPod tells it. */
export interface PortRow {
  readonly ip: string;
  /** Absent: RunPod did not say. */
  readonly isPublic?: boolean | undefined;
  readonly privatePort: number;
  readonly publicPort?: number | undefined;
  readonly type: string;
}

/** A pod in one shape, whichever interface told it. */
export interface PodRow {
  readonly id: string;
  readonly name: string;
  /** RUNNING is what was asked for, not what is; v2 tells PROVISIONING, STARTING and ERROR apart too. */
  readonly status: string;
  /** v2 alone says by `status` that it runs; elsewhere only a runtime does. */
  readonly hasRuntime: boolean;
  readonly uptimeSeconds?: number | undefined;
  readonly ports: readonly PortRow[];
  /** The address v2 makes up itself. */
  readonly direct?: { readonly host: string; readonly port: number } | undefined;
  /** The user name at the gateway. */
  readonly gatewayUser?: string | undefined;
  readonly usdPerHour?: number | undefined;
  readonly containerDiskGb: number;
  readonly volumeDiskGb: number;
  readonly networkVolumeId?: string | undefined;
  readonly gpuCount: number;
  readonly isSpot: boolean;
  readonly isLocked: boolean;
  readonly lowestBidUsd?: number | undefined;
  readonly machineId?: string | undefined;
  readonly createdAt?: string | undefined;
  readonly statusChange?: string | undefined;
  readonly env: ReadonlyMap<string, string>;
}

export interface TemplateRow {
  readonly id: string;
  readonly image: string;
  readonly startCommand: string;
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  readonly containerDiskGb: number;
  readonly volumeMountPath?: string | undefined;
  readonly isServerless: boolean;
}

export interface VolumeRow {
  readonly id: string;
  readonly name: string;
  readonly sizeGb: number;
  readonly dataCenterId: string;
  readonly podIds: readonly string[];
}

export function rowOfGraphql(pod: GraphqlPod): PodRow {
  const { machine, runtime } = pod;
  return {
    id: pod.id,
    name: pod.name ?? '',
    status: pod.desiredStatus ?? '',
    hasRuntime: runtime != null,
    uptimeSeconds: runtime?.uptimeInSeconds ?? undefined,
    ports: (runtime?.ports ?? []).flatMap((port) =>
      portRow(port.ip, port.privatePort, port.publicPort, port.type, port.isIpPublic ?? undefined),
    ),
    gatewayUser: machine?.podHostId ?? undefined,
    usdPerHour: pod.costPerHr ?? undefined,
    containerDiskGb: pod.containerDiskInGb ?? 0,
    volumeDiskGb: pod.networkVolumeId == null ? (pod.volumeInGb ?? 0) : 0,
    networkVolumeId: pod.networkVolumeId ?? undefined,
    gpuCount: pod.gpuCount ?? 1,
    isSpot: pod.podType != null && /^(?:INTERRUPTABLE|BID)$/.test(pod.podType),
    isLocked: pod.locked === true,
    lowestBidUsd: pod.lowestBidPriceToResume ?? undefined,
    machineId: given(pod.machineId),
    createdAt: isoOf(pod.createdAt ?? pod.lastStartedAt) ?? timeOfChange(pod.lastStatusChange),
    statusChange: pod.lastStatusChange ?? undefined,
    env: new Map((pod.env ?? []).map(pairOf)),
  };
}

export function rowOfRest(pod: RestPod): PodRow {
  const { ssh, runtime, mounts } = pod;
  const networkVolumeId = mounts?.network[0]?.volumeId ?? undefined;
  return {
    id: pod.id,
    name: pod.name ?? '',
    status: pod.status ?? '',
    hasRuntime: runtime != null || pod.status === 'RUNNING',
    uptimeSeconds: runtime?.uptime ?? undefined,
    ports: (runtime?.ports ?? []).flatMap((port) =>
      portRow(port.ip, port.private, port.public, port.type, undefined),
    ),
    direct: ssh?.direct ?? undefined,
    gatewayUser: ssh?.proxy?.username,
    usdPerHour: pod.cost ?? undefined,
    containerDiskGb: pod.disk ?? 0,
    volumeDiskGb: mounts?.persistent?.size ?? 0,
    networkVolumeId,
    gpuCount: pod.gpu?.count ?? 1,
    isSpot: false,
    isLocked: pod.locked === true,
    createdAt: isoOf(pod.createdAt),
    env: new Map(Object.entries(pod.env ?? {})),
  };
}

/** v1 tells no runtime: an address and mappings are all that is known of it. */
export function rowOfOld(pod: OldPod): PodRow {
  const mappings = Object.entries(pod.portMappings ?? {});
  const ip = given(pod.publicIp);
  return {
    id: pod.id,
    name: pod.name ?? '',
    status: pod.desiredStatus ?? '',
    hasRuntime: ip !== undefined && mappings.length > 0,
    ports:
      ip === undefined
        ? []
        : mappings.flatMap(([inside, outside]) =>
            portRow(ip, Number(inside), outside, 'tcp', undefined),
          ),
    usdPerHour: pod.costPerHr ?? undefined,
    containerDiskGb: pod.containerDiskInGb ?? 0,
    volumeDiskGb: pod.networkVolume == null ? (pod.volumeInGb ?? 0) : 0,
    networkVolumeId: pod.networkVolume?.id ?? undefined,
    gpuCount: pod.gpuCount ?? pod.gpu?.count ?? 1,
    isSpot: pod.interruptible === true,
    isLocked: pod.locked === true,
    machineId: given(pod.machineId),
    createdAt: isoOf(pod.createdAt ?? pod.lastStartedAt) ?? timeOfChange(pod.lastStatusChange),
    statusChange: pod.lastStatusChange ?? undefined,
    env: new Map(Object.entries(pod.env ?? {})),
  };
}

export function templateOfRest(template: RestTemplate): TemplateRow {
  return {
    id: template.id,
    image: template.image ?? '',
    startCommand: template.args ?? '',
    env: template.env ?? {},
    ports: template.ports ?? [],
    containerDiskGb: template.disk ?? 0,
    volumeMountPath: given(template.mounts?.persistent?.path),
    isServerless: template.serverless === true,
  };
}

function portRow(
  ip: string | null | undefined,
  privatePort: number | null | undefined,
  publicPort: number | null | undefined,
  type: string | null | undefined,
  isPublic: boolean | undefined,
): readonly PortRow[] {
  if (privatePort == null) return [];
  const outside = publicPort ?? undefined;
  return [{ ip: ip ?? '', privatePort, publicPort: outside, type: type ?? '', isPublic }];
}

/** "K=V": everything behind the first sign belongs to the value. */
function pairOf(line: string): readonly [string, string] {
  const at = line.indexOf('=');
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
}

/** "2026-10-02T05:28:38Z", and "2026-10-02 05:28:38.366 +0000 UTC" as v1 writes it. */
function isoOf(time: string | null | undefined): string | undefined {
  const date = new Date((time ?? '').replace(/ (\+\d{4}) [A-Z]+$/, ' $1'));
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** "Rented by User: Fri Nov 20 2026 10:14:40 GMT+0000 (Coordinated Universal Time)" */
function timeOfChange(change: string | null | undefined): string | undefined {
  const [, time] = /: (\w{3} \w{3} \d{1,2} \d{4} [\d:]+ GMT[+-]\d{4})/.exec(change ?? '') ?? [];
  return isoOf(time);
}

function given(value: string | null | undefined): string | undefined {
  return value == null || value.trim() === '' ? undefined : value;
}
