import type { ProviderFacts } from '../../core/provider.ts';
import { DEADLINE_FILE } from '../boot-script.ts';

export const RUNPOD_FACTS: ProviderFacts = {
  verified: '2026-10',
  dangerClocks: [
    'A stop wipes everything outside /workspace and gives the GPU to others: a start may find it taken. For jobs: destroy, do not stop.',
    'The disk at /workspace costs twice as much while the pod is stopped ($0.20 instead of $0.10 per GB and month).',
    'destroy deletes both disks for good. A network volume stays, and is charged until it is removed.',
    'At a balance of 0 RunPod stops every pod, and deletes those without a network volume with all their data.',
    'Every start gives the pod another SSH port. An address from before is wrong.',
    'An interruptible pod can be stopped within seconds by a higher bid. /workspace is kept and charged.',
    'A timer in the container ends it, with curl, wget, python3 or runpodctl of the image. RunPod is asked for an end of its own too, 24 hours later (15 minutes later where a template leaves no room for the timer); that it keeps that end is not proven, and it cannot be moved.',
    'An http port is public on the internet, without a password of its own.',
  ],
  paths: [
    { path: '/workspace', survivesStop: true, survivesDestroy: false },
    { path: 'the mount path of a network volume', survivesStop: true, survivesDestroy: true },
    { path: '/root and the rest of the container', survivesStop: false, survivesDestroy: false },
    { path: '/dev/shm and memory', survivesStop: false, survivesDestroy: false },
  ],
  stoppedCharges:
    'The disk at /workspace is charged while the pod is stopped, at twice the rate of a running one, until destroy. The GPU and the container disk are not. A network volume is always charged.',
  choosesImage: true,
  pollSeconds: 5,
  deadlineFile: DEADLINE_FILE,
};
