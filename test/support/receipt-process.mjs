// A process of its own that ends leases. Arguments: folder of src, state file, folder of receipts, first lease, how many.
const [, , source, file, receiptsFolder, first, count] = process.argv;
const { createSqliteStore } = await import(`${source}/store/sqlite.ts`);
const { createLedger } = await import(`${source}/leases/ledger.ts`);
const { publisherOf } = await import(`${source}/leases/receipt-folder.ts`);
const { systemClock: clock } = await import(`${source}/core/call.ts`);
const store = createSqliteStore({ file });
const ledger = createLedger({
  store,
  clock,
  sealed: publisherOf({ store, clock, receiptsFolder }),
});
process.stdout.write('ready\n');
await new Promise((resolve) => process.stdin.once('data', resolve));
for (let at = Number(first); at < Number(first) + Number(count); at += 1)
  await ledger.close(`lease-${at}`, { podId: `vast:${at}`, how: 'Not in the list.' });
await store[Symbol.asyncDispose]();
process.stdin.destroy();
