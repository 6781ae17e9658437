/* Links that are cut at seeded bytes under every kind of work: what is lost, doubled, hung. All of it must be none. */

import type { Fault } from '../../test/support/fault-proxy.ts';
import { Hung, openTransport } from '../../test/support/transport-bench.ts';
import {
  execWork,
  fetchWork,
  jobWork,
  type Struck,
  sessionReadWork,
  sessionWork,
  strikeAtBytes,
  syncWork,
} from '../../test/support/transport-works.ts';
import { say } from './figures.ts';

const SEED = 20_261_122;
const FAULTS: readonly Fault[] = [
  { kind: 'reset' },
  { kind: 'end' },
  { kind: 'reset' },
  { kind: 'silence' },
  { kind: 'end' },
  { kind: 'stall', seconds: 1 },
  { kind: 'reset' },
  { kind: 'drip', seconds: 2 },
];
const WORKS = [execWork, sessionWork, sessionReadWork, jobWork, syncWork, fetchWork] as const;
/** Silent links are found after 3 to 4 s: soon enough for hundreds of them, and no busy machine is taken for one. */
const KEEPALIVE_SECONDS = 1;

/** `npm run bench -- faults [COUNT]`: so many seeded bytes for each kind of work, 200 unless said. */
export async function benchFaults([words = '200']: readonly string[]): Promise<void> {
  const count = Number(words);
  const all: Struck[] = [];
  const broken: string[] = [];
  let left = { lost: 0, doubled: 0 };
  for (const open of WORKS) {
    await using bench = await openTransport({ keepaliveSeconds: KEEPALIVE_SECONDS });
    const work = await open(bench);
    const struck = await strikeAtBytes(bench, work, { count, seed: SEED, faults: FAULTS });
    all.push(...struck);
    const rest = await work.finish().catch((failure: unknown) => {
      broken.push(`${work.name}: ${String(failure)}`);
      return { lost: 0, doubled: 0 };
    });
    left = { lost: left.lost + rest.lost, doubled: left.doubled + rest.doubled };
    const mended = struck.filter((one) => one.struck && one.codes.length === 0).length;
    say(
      `${work.name}: faults struck / mended without a word`,
      `${struck.filter((one) => one.struck).length} / ${mended}`,
      '',
    );
    say('  worst seconds', Math.max(...struck.map((one) => one.seconds)).toFixed(1), '');
  }
  for (const one of all) if (isBad(one)) broken.push(told(one));
  const sum = (of: (one: Struck) => number): number =>
    all.reduce((total, one) => total + of(one), 0);
  say('faults struck', String(all.filter((one) => one.struck).length), `${count * WORKS.length}`);
  say('lost', String(left.lost + sum(({ lost }) => lost)), '0');
  say('doubled', String(left.doubled + sum(({ doubled }) => doubled)), '0');
  say('hung calls', String(all.filter(({ failure }) => failure instanceof Hung).length), '0');
  say('other broken promises', String(broken.length), '0');
  for (const line of broken.slice(0, 20)) process.stdout.write(`  ${line}\n`);
  if (broken.length > 0) process.exitCode = 1;
}

function isBad({ failure, lost, doubled }: Struck): boolean {
  return failure !== undefined || lost + doubled > 0;
}

function told({ work, strike, codes, seconds, failure, lost, doubled }: Struck): string {
  const { byte, direction, fault } = strike;
  const why = failure instanceof Error ? failure.message : '';
  return `${work}: ${fault.kind} ${direction} at ${byte}: lost ${lost}, doubled ${doubled}, ${seconds.toFixed(1)} s ${codes.join(' ')} ${why}`;
}
