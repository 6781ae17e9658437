import type { ProviderFacts } from '../../core/provider.ts';
import { DEADLINE_FILE } from '../boot-script.ts';

export const VAST_FACTS: ProviderFacts = {
  verified: '2026-08',
  dangerClocks: [
    'A stopped, exited or outbid pod goes on paying for its disk, at a rate that can be higher than while it runs. Only destroy ends that.',
    'Stopping gives the GPU to others: a start may never succeed again. For jobs: destroy, do not stop.',
    'destroy deletes the disk for good. Volumes stay, and are charged until they are removed.',
    'At a credit of 0 or less Vast.ai stops every pod, disks go on being charged, and without a card the data is scheduled for deletion.',
    'Every host has an end date: after it a pod cannot start again, and may be deleted 48 hours later.',
    'An interruptible pod can be paused at any moment by a higher bid. Its disk is kept and charged.',
    'A volume lies on one machine: only a pod on that machine can use it.',
    'Vast.ai has no time limit of its own: a timer in the container ends it, with curl, wget or python3 of the image. A pod without any of them, or one that never boots, is ended only by a server or the watcher that is up.',
    'Bandwidth is charged by the byte, each host at its own price, beside the price per hour.',
  ],
  paths: [
    {
      path: '/root, /workspace and the rest of the disk',
      survivesStop: true,
      survivesDestroy: false,
    },
    { path: 'the mount path of a volume', survivesStop: true, survivesDestroy: true },
    { path: '/dev/shm and memory', survivesStop: false, survivesDestroy: false },
  ],
  stoppedCharges:
    'The disk is charged every second until destroy, also while the pod is stopped, exited or outbid. The GPU is not.',
  pollSeconds: 10,
  deadlineFile: DEADLINE_FILE,
};
