/** As short as a month is: so the price of an hour is never told too low. */
const HOURS_PER_MONTH = 720;

/** Dollars per GB and month, as RunPod documents them. */
const RUNNING_DISK = 0.1;
const STOPPED_VOLUME_DISK = 0.2;
const NETWORK_VOLUME = { firstGb: 1000, first: 0.07, further: 0.05 };

export interface Disks {
  readonly containerDiskGb: number;
  readonly volumeDiskGb: number;
}

export function diskUsdPerHour({ containerDiskGb, volumeDiskGb }: Disks): number {
  return ((containerDiskGb + volumeDiskGb) * RUNNING_DISK) / HOURS_PER_MONTH;
}
/** The container disk is wiped by a stop, and no longer charged. */
export function stoppedUsdPerHour({ volumeDiskGb }: Pick<Disks, 'volumeDiskGb'>): number {
  return (volumeDiskGb * STOPPED_VOLUME_DISK) / HOURS_PER_MONTH;
}
export function networkVolumeUsdPerMonth(sizeGb: number): number {
  const { firstGb, first, further } = NETWORK_VOLUME;
  return Math.min(sizeGb, firstGb) * first + Math.max(0, sizeGb - firstGb) * further;
}

/** Beside the disk that was asked for, for the programs of the image and what is installed. */
const CONTAINER_DISK_GB = 20;
const LEAST_VOLUME_DISK_GB = 10;

/**
 * `diskGb` is the disk at /workspace, which a stop keeps; the container has its own beside it. A template that wants more for
 * its container gets it out of the other one, so that the price stays what was agreed. With a network volume in its place the
 * whole disk is the container's.
 */
export function disksFor(diskGb: number, hasNetworkVolume: boolean, templateGb = 0): Disks {
  const wanted = Math.max(LEAST_VOLUME_DISK_GB, Math.ceil(diskGb));
  if (hasNetworkVolume) return { containerDiskGb: wanted, volumeDiskGb: 0 };
  const more = Math.min(
    Math.max(0, Math.ceil(templateGb) - CONTAINER_DISK_GB),
    wanted - LEAST_VOLUME_DISK_GB,
  );
  return { containerDiskGb: CONTAINER_DISK_GB + more, volumeDiskGb: wanted - more };
}
