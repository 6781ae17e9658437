import type { Platform } from '../../../core/platform.ts';

const SHEET = 'public field guide of June 2026, which cites the documents of the platform';
const DETACHED = 'Its sessions may take plain background children along: run long work as a job.';

/** Rentals in China whose machines are made and stopped in a console. */
export const RENTALS: readonly Platform[] = [
  {
    id: 'autodl',
    title: 'AutoDL',
    verified: '2026-06',
    source: `documents of AutoDL; ${SHEET}`,
    sshUser: 'root',
    dataFolder: '/root/autodl-tmp',
    durableFolder: '/root/autodl-fs',
    scratchFolder: '/root/autodl-tmp',
    paths: [
      { path: '/', survivesStop: true, survivesDestroy: false },
      { path: '/root/autodl-tmp', survivesStop: true, survivesDestroy: false },
      { path: '/root/autodl-fs', survivesStop: true, survivesDestroy: true },
    ],
    meterStop: {
      verb: '关机 (power off)',
      reversible: true,
      stillBills: ['a paid extra data disk', 'file storage over 20 GB', 'images over the quota'],
    },
    destroyVerb: '释放 (release), possible after 关机 only',
    dangerClocks: [
      {
        what: 'shut down without a break',
        after: '15 days',
        effect: 'the machine is released and its data disk is lost',
      },
      { what: 'arrears', after: 'at once', effect: 'the machine is stopped by force' },
    ],
    proxyHook: {
      on: 'source /etc/network_turbo',
      off: 'unset http_proxy https_proxy',
      onlyFor: 'GitHub, Hugging Face and W&B; Chinese sources get slower through it',
    },
    advice: [
      'Python is /root/miniconda3/bin/python, and its base environment is the one to use.',
      '/root/autodl-fs holds about 200,000 files at most.',
      'After a power off another tenant may have the GPU; port and host key change when it is made anew.',
      DETACHED,
    ],
  },
  {
    id: 'matpool',
    title: 'Matpool',
    verified: '2026-06',
    source: SHEET,
    sshUser: 'root',
    dataFolder: '/root',
    durableFolder: '/mnt',
    scratchFolder: '/root',
    paths: [
      { path: '/', survivesStop: false, survivesDestroy: false },
      { path: '/mnt', survivesStop: true, survivesDestroy: true },
    ],
    meterStop: {
      verb: '停止并释放 (stop and release)',
      reversible: false,
      stillBills: ['the net disk over 5 GB'],
    },
    destroyVerb: '停止并释放 (stop and release)',
    dangerClocks: [
      { what: 'a snapshot', after: 'each one', effect: '.snap files fill the net disk of 5 GB' },
    ],
    advice: [
      'Python is /root/miniconda3/envs/myconda/bin/python.',
      'Scripts in /public/script/ switch pip, conda and apt to near mirrors.',
      'Snapshots leave out /mnt.',
    ],
  },
  {
    id: 'gpushare',
    title: 'Gpushare',
    verified: '2026-06',
    source: SHEET,
    sshUser: 'root',
    dataFolder: '/hy-tmp',
    durableFolder: '/hy-netdisk',
    scratchFolder: '/hy-tmp',
    paths: [
      { path: '/', survivesStop: false, survivesDestroy: false },
      // Kept for a day only: nobody should count on it.
      { path: '/hy-tmp', survivesStop: false, survivesDestroy: false },
      { path: '/hy-netdisk', survivesStop: true, survivesDestroy: true },
      { path: '/hy-nas', survivesStop: true, survivesDestroy: true },
    ],
    meterStop: {
      verb: '关机 (power off)',
      reversible: true,
      stillBills: ['/hy-nas', 'the net disk over its quota'],
    },
    destroyVerb: '释放 (release)',
    dangerClocks: [
      { what: 'a stop', after: 'at once', effect: '/ goes back to the image, /root with it' },
      { what: 'a stop or a migration', after: '24 hours', effect: '/hy-tmp is wiped' },
      { what: 'a stopped machine', after: '10 days', effect: 'it is released' },
      {
        what: 'arrears',
        after: '15 days, at noon',
        effect: 'personal data, net storage and images are deleted',
      },
    ],
    proxyHook: {
      on: 'export http_proxy=http://turbo.gpushare.com:PORT https_proxy=http://turbo.gpushare.com:PORT',
      off: 'unset http_proxy https_proxy',
      onlyFor: 'GitHub, Hugging Face, PyTorch and Kaggle; the port is shown in the console',
    },
    advice: ['/hy-netdisk is there on marked machines only.'],
  },
  {
    id: 'featurize',
    title: 'Featurize',
    verified: '2026-06',
    source: SHEET,
    durableFolder: '/home/featurize',
    paths: [
      { path: '/', survivesStop: false, survivesDestroy: false },
      { path: '/home/featurize', survivesStop: true, survivesDestroy: true },
      { path: '/cloud', survivesStop: true, survivesDestroy: true },
    ],
    meterStop: {
      verb: '实例归还 (return)',
      reversible: false,
      stillBills: ['/cloud over 30 GB'],
    },
    destroyVerb: '实例归还 (return)',
    dangerClocks: [
      {
        what: 'the return',
        after: 'at once',
        effect: 'everything outside /home/featurize and /cloud is gone',
      },
    ],
    advice: ['/cloud is copied with a delay: look on the server before the return.'],
  },
  {
    id: 'lanrui',
    title: 'LanRui',
    verified: '2026-06',
    source: SHEET,
    sshUser: 'user',
    dataFolder: '/home/user/datadisk',
    durableFolder: '/home/user/netdisk',
    scratchFolder: '/home/user/datadisk',
    paths: [
      { path: '/', survivesStop: false, survivesDestroy: false },
      { path: '/home/user/datadisk', survivesStop: true, survivesDestroy: false },
      { path: '/home/user/netdisk', survivesStop: true, survivesDestroy: true },
    ],
    meterStop: {
      verb: '停止 (stop)',
      reversible: true,
      stillBills: ['the data disk by the hour, until 销毁数据盘', 'the net disk over 10 GB'],
    },
    destroyVerb: '停止 and 销毁数据盘 (destroy the data disk)',
    dangerClocks: [
      {
        what: 'the data disk of a stopped workspace',
        after: 'no limit',
        effect: 'it costs by the hour until it is destroyed',
      },
    ],
    advice: [
      '/home/user/netdisk/data is shared by all workspaces of the zone: one folder for each run, and no secrets.',
    ],
  },
];
