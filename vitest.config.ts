import { defineConfig } from 'vitest/config';

/** `retry`: real processes on a shared machine may starve once. A second look is printed as such, never hidden. */
const project = (name: string, testTimeout = 5_000, retry = 0) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout, hookTimeout: 60_000, retry },
});

export default defineConfig({
  test: {
    // Most tests wait for real processes, so more of them than cores run at once.
    maxWorkers: 3,
    projects: [
      project('unit', 15_000),
      project('contract', 30_000),
      project('integration', 60_000, 1),
      project('protocol', 30_000),
      project('e2e', 180_000, 1),
    ],
  },
});
