// A process of its own that ends leases. Arguments: state file, folder of receipts, first lease, how many.
import { systemClock as clock } from '../../src/core/call.ts';
import { createLedger } from '../../src/leases/ledger.ts';
import { publisherOf } from '../../src/leases/receipt-folder.ts';
import { createSqliteStore } from '../../src/store/sqlite.ts';

const [, , file, receiptsFolder, first, count] = process.argv;
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
