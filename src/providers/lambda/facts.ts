import type { ProviderFacts } from '../../core/provider.ts';

export const LAMBDA_FACTS: ProviderFacts = {
  verified: '2026-08',
  hasOwnImage: true,
  hasNoInterruptible: true,
  offersReturn: true,
  dangerClocks: [
    'A Lambda pod cannot be stopped: it is charged in full, by the minute, until it is destroyed. Shutting it down from inside ends nothing.',
    'Lambda keeps no time limit, and a timer on the pod could end it only with a key to the whole account, which is never put there: only a server or the watcher that is up ends it at its deadline (gpu-lease watch --install keeps one).',
    'destroy deletes the disk for good, and the address and host key with it. Volumes stay, and what lies on them is charged until they are removed.',
    'A machine that Lambda calls unhealthy is charged too.',
    'What is free now may be rented by others within a minute; some types are never free for some accounts.',
    'A volume lies in one region: only a pod there can use it, and only when it is attached at its creation.',
    'The price of a volume is reckoned at $0.20 per GiB and month, the rate of Lambda’s documentation. The console tells the real one.',
    'Of the ports only SSH (22) and ping are open from outside. The firewall belongs to the whole account and is left alone.',
  ],
  paths: [
    { path: '/home/ubuntu and the rest of the disk', survivesStop: true, survivesDestroy: false },
    { path: 'the mount path of a volume', survivesStop: true, survivesDestroy: true },
    { path: '/dev/shm and memory', survivesStop: false, survivesDestroy: false },
  ],
  stoppedCharges: 'Lambda has no stop: a pod is charged in full until it is destroyed.',
  pollSeconds: 6,
};
