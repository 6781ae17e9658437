import path from 'node:path';
import { RemoteError } from '../core/errors.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { HASH_FUNCTION, hashSeconds, type Pod } from './pod.ts';
import { fastHash } from './pod-hash.ts';
import { factsLines, parseFacts, type RemoteFact } from './pod-names.ts';
import { guardRemoteTarget, type PodFolders } from './remote-target.ts';
import { isOfFind, type Listed, parseTree, type TreeListing, treeParts } from './tree-listing.ts';

/** All that a sync asks a pod before it sends. */
export interface Look {
  readonly kind: 'folder' | 'file' | 'absent';
  /** The target with every link resolved, whether it exists or not. */
  readonly real: string;
  readonly folders: PodFolders;
  readonly programs: ReadonlySet<string>;
  /** Unknown when the pod's df does not say. */
  readonly freeBytes?: number;
  readonly freeInodes?: number;
  /** The pod's clock before it looked; 0 where it had nothing to tell but that all is as it was. */
  readonly nowSeconds: number;
  /** Folders that syncs to this target have begun and not ended. */
  readonly stagings: readonly string[];
  /** Absent: exactly as it was when `digest` was taken. */
  readonly listing?: TreeListing;
  /** Of the files that were to be hashed. */
  readonly facts: ReadonlyMap<string, RemoteFact>;
  /** Links and files where the sync needs folders. */
  readonly blocked: readonly string[];
  /** What the pod was asked for. */
  readonly asked: Pick<LookRequest, 'files' | 'folders'>;
}
export interface LookRequest {
  /** Absolute. */
  readonly target: string;
  readonly work: string;
  readonly files: readonly string[];
  readonly folders: readonly string[];
  readonly hash: readonly { readonly path: string; readonly bytes: number }[];
  /** Of the last listing of the same names. */
  readonly digest: string;
  /** What that listing told. */
  readonly known?: ReadonlyMap<string, Listed> | undefined;
}

export const STAGING_PREFIX = '.gpu-lease-sync-';
const PROGRAMS = ['gzip', 'zstd', 'python3', 'openssl'];

/** One round trip. The place is guarded where it really is; `fileName` is the one file that will be written into it. */
export async function lookAt(pod: Pod, request: LookRequest, fileName?: string): Promise<Look> {
  const output = await pod.must(lookScript(request), {
    timeoutSeconds: hashSeconds(request.hash.reduce((sum, { bytes }) => sum + bytes, 0)),
    what: 'look at the target folder',
  });
  const fields = fieldsOf(output);
  const [home = '', work = '', kind = '', above = '', at = '', programs = ''] = fields.next(6);
  const [blocks = '', inodes = '', stagings = ''] = fields.next(3);
  if (!at.startsWith('/') || !request.target.startsWith(above) || !home.startsWith('/'))
    throw new RemoteError('remote_failed', 'The pod did not say where the target folder is.');
  const rest = request.target.slice(above.length).replace(/^\/+/, '');
  const real = rest === '' ? at : `${at === '/' ? '' : at}/${rest}`;
  const folders = { home, work };
  if (kind !== 'file')
    guardRemoteTarget(fileName === undefined ? real : path.posix.join(real, fileName), folders);
  const [verdict = '', now = ''] = fields.next(2);
  const base: Omit<Look, 'facts' | 'blocked' | 'listing'> = {
    kind: kind === 'folder' || kind === 'file' ? kind : 'absent',
    real,
    folders,
    programs: new Set(programs.split(' ')),
    ...freeOf(blocks, inodes),
    nowSeconds: Number(now) || 0,
    asked: { files: request.files, folders: request.folders },
    stagings: stagings.split('/').filter((name) => /^\.gpu-lease-sync-[\w.-]+$/.test(name)),
  };
  if (base.kind !== 'folder') return { ...base, listing: parseTree(Buffer.alloc(0)), ...NOTHING };
  const listed = verdict === 'same' ? undefined : (fields.until(END_OF_TREE) ?? notWhole());
  const { facts, blocked } = parseFacts(
    fields.rest(),
    request.hash.map((file) => file.path),
  );
  return { ...base, ...(listed && { listing: parseTree(listed, request.known) }), facts, blocked };
}

const NOTHING = { facts: new Map<string, RemoteFact>(), blocked: [] };
/** After what `A` printed. */
export const END_OF_TREE = Buffer.from('\0end\0');

function notWhole(): never {
  throw new RemoteError('remote_failed', 'The pod did not finish the list of its files.');
}

function lookScript({ target, work, files, folders, hash, digest, known }: LookRequest): string {
  // Only what is hashed, or remembered by a list, needs to know when that was.
  const now = digest === '' || hash.length > 0 ? '$(date +%s)' : '';
  const list = [`printf 'list\\0%s\\0' "\${n:-$(date +%s)}"; A; printf '\\0end\\0'`];
  const { find, any, all } = treeParts(files, folders);
  return [
    HASH_FUNCTION,
    'TZ=UTC0; export TZ',
    'cd -P || exit 43; m=$PWD',
    `w=; cd -P -- ${shellQuote(work)} && w=$PWD`,
    `T=${shellQuote(target)}`,
    'if [ -d "$T" ]; then k=folder; elif [ -e "$T" ] || [ -h "$T" ]; then k=file; else k=absent; fi',
    'a=$T',
    'while ! [ -d "$a" ]; do a=$(dirname -- "$a"); done',
    'cd -P -- "$a" && p=$PWD || exit 43',
    `z=; for x in ${PROGRAMS.join(' ')}; do if command -v $x >/dev/null 2>&1; then z="$z $x"; fi; done`,
    's=; if [ $k = folder ]; then',
    `for d in ${STAGING_PREFIX}*; do if [ -d "$d" ]; then s="$s/$d"; fi; done; fi`,
    // One program, where it is the one that tells of file systems.
    `f=$(stat -f -c 'free %S %a %c %d' . 2>/dev/null); i=; n=${now}`,
    `case $f in 'free '[1-9]*) ;; *) f=$(df -Pk . 2>/dev/null); i=$(df -Pi . 2>/dev/null);; esac`,
    `printf '%s\\0' "$m" "$w" "$k" "$a" "$p" "$z" "$f" "$i" "$s"`,
    '[ $k = folder ] || exit 0',
    ...all,
    ...(digest === ''
      ? [...any, ...list]
      : [
          ...(isOfFind(known) ? find : any),
          `x=$(A | H -); if [ "\${x%% *}" = ${digest} ]; then printf 'same\\0%s\\0' "$n"; else`,
          ...(isOfFind(known) ? any : []),
          ...list,
          'fi',
        ]),
    ...fastHash(hash.reduce((sum, { bytes }) => sum + bytes, 0)),
    ...factsLines(
      hash.map((file) => file.path),
      folders,
    ),
    'exit 0',
    '',
  ].join('\n');
}

/** Free bytes and inodes, by what `stat -f` or the two `df` printed. */
function freeOf(blocks: string, inodes: string): Pick<Look, 'freeBytes' | 'freeInodes'> {
  const told = /^free (\d+) (\d+) (\d+) (\d+)$/.exec(blocks);
  if (told !== null) {
    const [unit = 0, units = 0, allInodes = 0, freeInodes = 0] = told.slice(1).map(Number);
    return { freeBytes: unit * units, ...(allInodes === 0 ? {} : { freeInodes }) };
  }
  const freeKilobytes = available(blocks);
  const freeInodes = available(inodes);
  return {
    ...(freeKilobytes === undefined ? {} : { freeBytes: freeKilobytes * 1024 }),
    ...(freeInodes === undefined ? {} : { freeInodes }),
  };
}

/** The fourth column of the last line of `df -P`; a file system without inodes says 0 of 0. */
function available(text: string): number | undefined {
  const line = text.slice(text.lastIndexOf('\n') + 1);
  const match = /\s(\d+)\s+(\d+)\s+(\d+)\s+\d+%\s/.exec(line);
  if (match?.[1] === undefined || match[3] === undefined || match[1] === '0') return undefined;
  return Number(match[3]);
}

/** Reads an answer piece by piece. */
export function fieldsOf(output: Buffer): {
  next(count: number): readonly string[];
  /** Everything before `mark`; undefined when it never comes. */
  until(mark: Buffer): Buffer | undefined;
  rest(): Buffer;
} {
  let at = 0;
  return {
    next(count) {
      const fields: string[] = [];
      while (fields.length < count) {
        const end = output.indexOf(0, at);
        if (end < 0) break;
        fields.push(output.toString('utf8', at, end));
        at = end + 1;
      }
      return fields;
    },
    until(mark) {
      const end = output.indexOf(mark, at);
      if (end < 0) return undefined;
      const before = output.subarray(at, end);
      at = end + mark.length;
      return before;
    },
    rest: () => output.subarray(at),
  };
}
