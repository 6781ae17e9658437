import type { Platform } from '../../../core/platform.ts';

/** Clouds whose machines people also make by hand. */
export const CLOUDS: readonly Platform[] = [
  {
    id: 'runpod',
    title: 'RunPod',
    verified: '2026-06',
    source: 'documents of RunPod',
    sshUser: 'root',
    dataFolder: '/workspace',
    paths: [
      { path: '/', survivesStop: false, survivesDestroy: false },
      // A network volume there outlives the pod; a volume disk does not, and from inside they look alike.
      { path: '/workspace', survivesStop: true, survivesDestroy: false },
    ],
    meterStop: {
      verb: 'stop',
      reversible: true,
      stillBills: ['the volume disk, at about twice its running price', 'network volumes'],
    },
    destroyVerb: 'terminate',
    dangerClocks: [
      {
        what: 'a stop',
        after: 'at once',
        effect: 'the container disk is wiped, all but /workspace',
      },
      {
        what: 'a restart',
        after: 'at once',
        effect: 'the public port changes and the GPU may be gone',
      },
      { what: 'a low balance', after: 'without notice', effect: 'pods are stopped, later deleted' },
    ],
    advice: ['SSH logins do not see the variables of the pod: they are in /proc/1/environ.'],
  },
  {
    id: 'vast',
    title: 'Vast.ai',
    verified: '2026-06',
    source: 'documents of Vast.ai',
    sshUser: 'root',
    paths: [{ path: '/', survivesStop: true, survivesDestroy: false }],
    meterStop: { verb: 'stop', reversible: true, stillBills: ['the disk', 'traffic'] },
    destroyVerb: 'destroy',
    dangerClocks: [
      { what: 'a stop', after: 'at once', effect: 'the GPU may be rented to somebody else' },
      { what: 'the end of the contract', after: 'its date', effect: 'the machine is stopped' },
      { what: 'a balance of zero', after: 'without notice', effect: 'machines are deleted' },
    ],
    advice: [],
  },
  {
    id: 'lambda',
    title: 'Lambda',
    verified: '2026-06',
    source: 'documents of Lambda',
    sshUser: 'ubuntu',
    dataFolder: '/home/ubuntu',
    durableFolder: '/lambda/nfs',
    scratchFolder: '/home/ubuntu',
    paths: [
      { path: '/', survivesStop: false, survivesDestroy: false },
      { path: '/lambda/nfs', survivesStop: true, survivesDestroy: true },
    ],
    meterStop: { verb: 'terminate', reversible: false, stillBills: ['the file system'] },
    destroyVerb: 'terminate',
    dangerClocks: [
      {
        what: 'there is no stop and no time limit',
        after: 'no limit',
        effect: 'it costs until it is terminated; a shutdown inside does not end the bill',
      },
    ],
    advice: ['A file system can be attached at the launch only.'],
  },
  {
    id: 'paperspace',
    title: 'Paperspace',
    verified: '2026-06',
    source: 'documents of DigitalOcean Paperspace; public field guide of June 2026',
    sshUser: 'paperspace',
    dataFolder: '/home/paperspace',
    scratchFolder: '/tmp',
    paths: [{ path: '/', survivesStop: true, survivesDestroy: false }],
    meterStop: {
      verb: 'stop',
      reversible: true,
      stillBills: ['the disk', 'a static public IP', 'snapshots', 'shared drives'],
    },
    destroyVerb: 'delete, then release the static IP and delete snapshots and shared drives',
    dangerClocks: [
      {
        what: 'auto-shutdown on Linux',
        after: '1 hour to 1 week, as set when it was made',
        effect: 'it stops by the wall clock, work running or not',
      },
      { what: 'a free notebook', after: '6 hours', effect: 'it stops' },
      { what: 'a paid notebook', after: '12 hours by default', effect: 'it stops' },
      {
        what: 'a snapshot or static IP left over',
        after: 'no limit',
        effect: 'it costs until it is deleted',
      },
    ],
    advice: [
      'A stopped machine keeps no GPU: it may be out of capacity at the next start, and a dynamic address changes.',
    ],
  },
];
