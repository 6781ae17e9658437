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

/** Files that take longest, in this order: most of them wait, which nobody sees from their size. One that began late would end alone. */
const LONGEST = [
  'e2e/idle',
  'integration/transport-links',
  'e2e/cloud-kill',
  'e2e/watcher',
  'integration/job-life',
  'integration/lease-vast',
  'integration/session',
  'e2e/vast-faults',
  'e2e/transport-faults',
  'e2e/kill',
  'e2e/demo',
  'integration/job-ssh',
  'integration/pod-life',
  'integration/transport-server',
  'integration/transport-memory',
  'integration/pool-trouble',
  'e2e/chaos',
  'integration/job-trouble',
  'e2e/vast-walk',
  'e2e/deadline',
  'e2e/vast-skill',
  'integration/transport-pods',
  'integration/vast-deadline',
  'unit/files/sync-fast',
  'unit/examples/tiny-lm',
];
const rankOf = (file: TestSpecification): number => {
  const rank = LONGEST.findIndex((name) => file.moduleId.endsWith(`/test/${name}.test.ts`));
  return rank < 0 ? LONGEST.length : rank;
};

/**
 * The longest files first; then those that have a process of their own, evenly over their projects and the larger first; then those that
 * share one, project by project: a worker keeps its process only while the next file in the queue is of the same project. These are
 * short, so that the workers end together.
 */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const total = new Map<string, number>();
    for (const { project } of sorted) total.set(project.name, (total.get(project.name) ?? 0) + 1);
    const seen = new Map<string, number>();
    const places = new Map<TestSpecification, number>();
    const shared = [...total.keys()];
    for (const file of sorted) {
      const { name, config } = file.project;
      const nth = seen.get(name) ?? 0;
      seen.set(name, nth + 1);
      places.set(file, config.isolate ? nth / (total.get(name) ?? 1) : 1 + shared.indexOf(name));
    }
    return sorted.toSorted(
      (a, b) => rankOf(a) - rankOf(b) || (places.get(a) ?? 0) - (places.get(b) ?? 0),
    );
  }
}

export default defineConfig({
  test: {
    // Most tests wait for real processes, so more of them than cores run at once.
    maxWorkers: 5,
    sequence: { sequencer: LongestFirst },
    projects: [
      project('integration', { testTimeout: 60_000, retry: 1 }),
      project('e2e', { testTimeout: 180_000, retry: 1 }),
      // Nothing in these changes what its modules or its process hold, so a worker reads them once for all its files.
      project('contract', { testTimeout: 30_000, isolate: false }),
      project('protocol', { testTimeout: 30_000, isolate: false }),
      project('unit', { testTimeout: 30_000, isolate: false }),
    ],
  },
});
