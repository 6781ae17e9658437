// A process of its own for tests of the state file. Arguments: file, what to do, how often.
import { createSqliteStore } from '../../src/store/sqlite.ts';

const [, , file, what, count] = process.argv;
const store = createSqliteStore({ file });
const profile = (host) => ({ profileId: 'n', host, isDefault: false });

if (what === 'count') {
  for (let turn = 0; turn < Number(count); turn += 1)
    await store.transaction(async (tx) => {
      const before = Number((await tx.profiles.get('n'))?.host ?? 0);
      await tx.profiles.put('n', profile(String(before + 1)));
    });
  await store[Symbol.asyncDispose]();
} else if (what === 'fill') {
  await store.profiles.put('n', profile('before'));
  const failures = [];
  for (let turn = 0; turn < Number(count) && failures.length < 2; turn += 1)
    await store
      .transaction(async (tx) => {
        await tx.profiles.put('n', profile('x'.repeat(50_000)));
        await tx.profiles.put(`other${turn}`, profile('x'.repeat(50_000)));
      })
      .catch((failure) => failures.push({ code: failure.code, message: failure.message }));
  const kept = (await store.profiles.list()).length;
  await store[Symbol.asyncDispose]();
  process.stdout.write(JSON.stringify({ failures, kept }));
} else {
  await store.transaction(async (tx) => {
    await tx.profiles.put('n', profile('half'));
    await tx.profiles.put('other', { ...profile('half'), profileId: 'other' });
    process.stdout.write('inside\n');
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  });
}
