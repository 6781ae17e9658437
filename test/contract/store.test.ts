import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { createMemoryStore } from '../../src/store/memory.ts';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { describeStore } from './store-contract.ts';

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

describeStore('the store in memory', async () => Promise.resolve(createMemoryStore()));
describeStore('the store in SQLite', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'gl-store-'));
  folders.push(folder);
  return createSqliteStore({ file: path.join(folder, 'state', 'state.db') });
});
