// Loaded into a program by NODE_OPTIONS=--import: writes what its main event loop was held up by, as milliseconds, to the file that
// LOOP_DELAY_FILE names, and begins anew, at every SIGUSR2.
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const file = process.env.LOOP_DELAY_FILE;
if (isMainThread && file !== undefined) {
  const resolution = 10;
  const histogram = monitorEventLoopDelay({ resolution });
  histogram.enable();
  process.on('SIGUSR2', () => {
    const ms = (nanoseconds) => nanoseconds / 1e6;
    const { count, max } = histogram;
    const figures = {
      resolution,
      count,
      max: ms(max),
      p50: ms(histogram.percentile(50)),
      p99: ms(histogram.percentile(99)),
    };
    histogram.reset();
    writeFileSync(`${file}.new`, JSON.stringify(figures));
    writeFileSync(file, JSON.stringify(figures));
  });
}
