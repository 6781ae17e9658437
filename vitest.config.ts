import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** `retry`: real processes on a shared machine may starve once. A second look is printed as such, never hidden. */
const project = (name: string, { testTimeout = 5_000, retry = 0, isolate = true } = {}) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout,
    hookTimeout: 60_000,
    retry,
    isolate,
  },
});

/**
 * Files of each project evenly over the whole run, the larger ones of it first: those of e2e and integration wait for processes
 * most of their time, those of unit compute, and side by side they use the cores. Short ones of unit are left for the end.
 */
class Evenly extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const total = new Map<string, number>();
    for (const { project } of sorted) total.set(project.name, (total.get(project.name) ?? 0) + 1);
    const seen = new Map<string, number>();
    const places = new Map<TestSpecification, number>();
    for (const file of sorted) {
      const nth = seen.get(file.project.name) ?? 0;
      seen.set(file.project.name, nth + 1);
      const span = file.project.config.isolate ? 0.85 : 1;
      places.set(file, (span * nth) / (total.get(file.project.name) ?? 1));
    }
    return sorted.toSorted((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
  }
}

export default defineConfig({
  test: {
    // Most tests wait for real processes, so more of them than cores run at once.
    maxWorkers: 4,
    sequence: { sequencer: Evenly },
    projects: [
      // Nothing in it changes what its modules or its process hold, so a worker reads them once for all its files.
      project('unit', { testTimeout: 30_000, isolate: false }),
      project('contract', { testTimeout: 30_000 }),
      project('integration', { testTimeout: 60_000, retry: 1 }),
      project('protocol', { testTimeout: 30_000 }),
      project('e2e', { testTimeout: 180_000, retry: 1 }),
    ],
  },
});
