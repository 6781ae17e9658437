import type { Platform } from '../../../core/platform.ts';
import { shellQuote } from '../../../core/shell-quote.ts';
import { CLOUDS } from './clouds.ts';
import { PLAIN, SLURM } from './plain.ts';
import { RENTALS } from './rentals.ts';

export const PLATFORMS: readonly Platform[] = [...RENTALS, ...CLOUDS, SLURM, PLAIN];

interface Marks {
  readonly id: string;
  /** Of the address. */
  readonly hosts?: RegExp;
  /** Any of these on the machine says it is this platform. */
  readonly files?: readonly string[];
  /** All of these together say so. */
  readonly allFiles?: readonly string[];
  /** Any of these in its environment; only names are looked at. */
  readonly variables?: readonly string[];
}

/** In the order in which they are asked: the surest first. */
const MARKS: readonly Marks[] = [
  {
    id: 'autodl',
    hosts: /(?:^|\.)(?:seetacloud\.com|autodl\.(?:com|pro))$/,
    files: ['/root/autodl-tmp', '/etc/network_turbo'],
    variables: ['AutoDLContainerUUID'],
  },
  { id: 'gpushare', hosts: /(?:^|\.)gpushare\.com$/, files: ['/hy-tmp'] },
  { id: 'featurize', hosts: /(?:^|\.)featurize\.cn$/, files: ['/home/featurize'] },
  { id: 'lanrui', hosts: /(?:^|\.)lanrui-ai\.com$/, files: ['/home/user/datadisk'] },
  {
    id: 'matpool',
    hosts: /(?:^|\.)matpool\.com$/,
    allFiles: ['/mnt', '/root/miniconda3/envs/myconda'],
  },
  { id: 'runpod', hosts: /(?:^|\.)runpod\.(?:io|net)$/, variables: ['RUNPOD_POD_ID'] },
  { id: 'vast', hosts: /(?:^|\.)vast\.ai$/, variables: ['VAST_CONTAINERLABEL'] },
  { id: 'lambda', files: ['/lambda/nfs', '/usr/share/doc/lambda-stack-cuda'] },
  {
    id: 'paperspace',
    hosts: /(?:^|\.)(?:paperspace|paperspacegradient)\.com$/,
    files: ['/home/paperspace'],
  },
];

/** What one look at a machine told. */
export interface Seen {
  /** Files and folders that are there. */
  readonly present: ReadonlySet<string>;
  /** Those that are file systems of their own. */
  readonly mounted: ReadonlySet<string>;
  readonly variables: ReadonlySet<string>;
  readonly hasSlurm: boolean;
}

const VARIABLES = MARKS.flatMap(({ variables = [] }) => variables);
const LOOKED_AT = [
  ...new Set([
    ...MARKS.flatMap(({ files = [], allFiles = [] }) => [...files, ...allFiles]),
    ...PLATFORMS.flatMap(({ paths }) => paths.map(({ path }) => path)).filter(
      (path) => path !== '/',
    ),
  ]),
];

export function platformById(id: string | undefined): Platform | undefined {
  return PLATFORMS.find((platform) => platform.id === id);
}

export function platformOfHost(host: string): Platform | undefined {
  const name = host.toLowerCase();
  return platformById(MARKS.find(({ hosts }) => hosts?.test(name) === true)?.id);
}

/** The platform that marks on the machine itself tell of; what it calls itself is not asked. Pure. */
export function platformOfMarks({ present, variables, hasSlurm }: Seen): Platform | undefined {
  const found = MARKS.find(
    ({ files = [], allFiles, variables: names = [] }) =>
      names.some((name) => variables.has(name)) ||
      files.some((file) => present.has(file)) ||
      allFiles?.every((file) => present.has(file)) === true,
  );
  return platformById(found?.id) ?? (hasSlurm ? SLURM : undefined);
}

/** Lists what of all marks is there: names of ours alone, never a value of the machine. POSIX sh and coreutils. */
export function lookScript(): string {
  return [
    `for f in ${LOOKED_AT.map(shellQuote).join(' ')}; do`,
    '  [ -e "$f" ] || continue',
    '  printf "file %s\\n" "$f"',
    '  case "$(df -P "$f" 2>/dev/null | tail -n 1)" in *" $f") printf "mount %s\\n" "$f" ;; esac',
    'done',
    `{ env; tr '\\0' '\\n' < /proc/1/environ; } 2>/dev/null | cut -d= -f1 | while IFS= read -r v; do`,
    `  case "$v" in ${VARIABLES.map(shellQuote).join('|')}) printf "variable %s\\n" "$v" ;; esac`,
    'done',
    'if command -v sbatch >/dev/null 2>&1; then echo slurm; fi',
  ].join('\n');
}

/** Reads the answer of `lookScript`: what it does not know is not there. Pure. */
export function parseLook(text: string): Seen {
  const lines = new Set(text.split('\n'));
  const all = (kind: string, names: readonly string[]): ReadonlySet<string> =>
    new Set(names.filter((name) => lines.has(`${kind} ${name}`)));
  return {
    present: all('file', LOOKED_AT),
    mounted: all('mount', LOOKED_AT),
    variables: all('variable', VARIABLES),
    hasSlurm: lines.has('slurm'),
  };
}
