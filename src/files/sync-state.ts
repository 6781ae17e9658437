import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { PodId } from '../core/ids.ts';
import { randomToken } from '../core/ids.ts';
import { keepNewest, stampOf } from './kept.ts';
import type { Listed } from './tree-listing.ts';

/** What is remembered of one name on a pod. */
export interface Remembered extends Listed {
  /** The pod itself hashed the file while it had this stamp. */
  readonly sha256?: string | undefined;
  /** No later change can leave the stamp as it is. Else the file is hashed again. */
  readonly sure: boolean;
}
export interface SyncState {
  /** The target folder with all links resolved. */
  readonly real: string;
  /** Of the listing that `entries` came from. */
  readonly digest: string;
  readonly entries: ReadonlyMap<string, Remembered>;
  /** What was there before under names that the last listing did not ask for: they are gone at home. */
  readonly others: ReadonlyMap<string, Remembered>;
}
export interface StateFile {
  load(): Promise<SyncState | undefined>;
  /** Only a memory: one that cannot be written costs time, not correctness. */
  save(state: SyncState): Promise<void>;
}

const VERSION = 'sync-state 3';

/** Remembers, for each pod and target, what the pod hashed. In memory too, as long as no other process wrote the file. */
export function createStates(home: string): (podId: PodId, target: string) => StateFile {
  const folder = path.join(home, 'sync-state');
  const kept = new Map<string, { readonly key: string; readonly state: SyncState }>();
  const keep = (file: string, key: string | undefined, state: SyncState | undefined): void => {
    if (key === undefined || state === undefined) kept.delete(file);
    else keepNewest(kept, file, { key, state }, MOST_KEPT);
  };
  return (podId, target) => {
    const name = createHash('sha256').update(`${podId}\0${target}`).digest('hex').slice(0, 32);
    const file = path.join(folder, name);
    return {
      async load() {
        const key = await stampOf(file);
        if (key === undefined) return undefined;
        const known = kept.get(file);
        if (known?.key === key) return known.state;
        const text = await readFile(file, 'utf8').catch(() => '');
        const state = parseState(text);
        keep(file, key, state);
        return state;
      },
      async save(state) {
        try {
          await mkdir(folder, { recursive: true, mode: 0o700 });
          const draft = `${file}.${randomToken(8)}`;
          await writeFile(draft, formatState(state), { mode: 0o600 });
          const key = await stampOf(draft);
          await rename(draft, file);
          keep(file, key, state);
        } catch {
          kept.delete(file);
        }
      },
    };
  };
}

const MOST_KEPT = 8;
const OTHER = 'o';

/** Most names are as they were the time before. */
const formatted = new WeakMap<Remembered, string>();
const FLAGS = 3;

function formatEntry(name: string, entry: Remembered): string {
  const kind = entry.isFile ? 'f' : entry.isFolder ? 'd' : 'o';
  const flags = `${kind}${entry.executable ? 'x' : '-'}${entry.sure ? 's' : '-'}`;
  return `${flags}\t${entry.sha256 ?? ''}\t${entry.bytes}\t${entry.modified}\t${entry.changedSeconds}\t${entry.stamp}\t${name}`;
}

function formatState({ real, digest, entries, others }: SyncState): string {
  const lines = [real, digest];
  const add = (named: SyncState['entries'], place: string): void => {
    for (const [name, entry] of named) {
      const known = formatted.get(entry);
      const line = known ?? formatEntry(name, entry);
      if (known === undefined) formatted.set(entry, line);
      lines.push(place === '' ? line : `${line.slice(0, FLAGS)}${place}${line.slice(FLAGS)}`);
    }
  };
  add(entries, '');
  add(others, OTHER);
  const body = `${lines.join('\0')}\0`;
  return `${VERSION}\0${checksum(body)}\0${body}`;
}

function checksum(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}

function parseState(text: string): SyncState | undefined {
  const [version = '', sum = '', real, digest, ...lines] = text.split('\0');
  const body = text.slice(version.length + sum.length + 2);
  if (version !== VERSION || sum !== checksum(body)) return undefined;
  if (real === undefined || digest === undefined || lines.pop() !== '') return undefined;
  const entries = new Map<string, Remembered>();
  const others = new Map<string, Remembered>();
  for (const line of lines) {
    const [flags = '', sha256 = '', bytes, modified = '', changed, stamp = ''] = line.split(
      '\t',
      6,
    );
    const name = line.slice(
      flags.length +
        sha256.length +
        (bytes ?? '').length +
        modified.length +
        (changed ?? '').length +
        stamp.length +
        6,
    );
    (flags[3] === OTHER ? others : entries).set(name, {
      isFile: flags.startsWith('f'),
      isFolder: flags.startsWith('d'),
      executable: flags[1] === 'x',
      sure: flags[2] === 's',
      ...(sha256 === '' ? {} : { sha256 }),
      bytes: Number(bytes),
      modified,
      changedSeconds: Number(changed),
      stamp,
    });
  }
  return { real, digest, entries, others };
}

/** Whether nothing is different, so that nothing need be written. */
export function isSameState(state: SyncState, other: SyncState | undefined): boolean {
  return state.entries === other?.entries && state.digest === other.digest;
}
