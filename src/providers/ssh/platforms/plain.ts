import type { Platform } from '../../../core/platform.ts';

export const SLURM: Platform = {
  id: 'slurm',
  title: 'Slurm login node',
  verified: '2026-06',
  source: 'documents of Slurm',
  paths: [],
  meterStop: { verb: 'scancel', reversible: false, stillBills: [] },
  dangerClocks: [
    {
      what: 'the time limit of a job (-t)',
      after: 'as asked for',
      effect: 'TERM, and KILL some 30 seconds later',
    },
    { what: 'preemption', after: 'any time', effect: 'the job is queued again or cancelled' },
    { what: 'scratch', after: 'a rule of the site', effect: 'files are deleted' },
  ],
  advice: [
    'GPUs belong to jobs of Slurm, not to the login node: submit with sbatch. $TMPDIR is often wiped at the end of a job.',
  ],
};

/** Any other machine: nothing is assumed to last, and nothing ends its bill but its owner. */
export const PLAIN: Platform = {
  id: 'plain',
  title: 'Own machine',
  verified: '2026-06',
  source: 'public field guide of June 2026',
  paths: [],
  meterStop: { stillBills: ['everything, day and night, if it is rented'] },
  dangerClocks: [
    {
      what: 'no idle timer and no release',
      after: 'no limit',
      effect: 'a forgotten rented machine goes on costing',
    },
    { what: 'a reboot', after: 'any time', effect: 'jobs and shells are gone, files stay' },
  ],
  advice: [
    'No scheduler shares its GPUs: look at nvidia-smi first and choose with CUDA_VISIBLE_DEVICES.',
  ],
};
