import type { ProviderFacts } from '../../core/provider.ts';

export const LOCAL_FACTS: ProviderFacts = {
  verified: '2026-11',
  dangerClocks: [
    'A local pod lives on this machine: after a shutdown its processes are gone; its files stay, and start brings it back.',
    'At its deadline the pod ends itself and all its processes, also when no server of ours runs.',
    'A process started with an empty environment that also leaves its session (env -i setsid) cannot be told from those of this machine: it outlives the pod.',
    'image, template, workload and ports are not applied: the pod has what this machine has.',
  ],
  paths: [
    { path: '$HOME', survivesStop: true, survivesDestroy: false },
    { path: '$TMPDIR', survivesStop: true, survivesDestroy: false },
    { path: 'files outside $HOME (this machine)', survivesStop: true, survivesDestroy: true },
  ],
  stoppedCharges: 'Nothing is charged. A stopped pod only takes disk space on this machine.',
};
