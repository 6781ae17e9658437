import { describe, expect, it } from 'vitest';
import { diagnoseJob, findingsIn, RULES } from '../../../src/health/match.ts';
import { FAILURE_CLASSES } from '../../../src/health/rule.ts';
import { fc } from '../../support/property.ts';
import { SAMPLES } from './samples.ts';

const range = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `D-${String(from + index).padStart(3, '0')}`);

describe('failure rules [FA-01]', () => {
  it('each have an id of their own, a known class, a short remedy and samples', () => {
    const ids = RULES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(Object.keys(SAMPLES).toSorted()).toEqual(ids.toSorted());
    for (const rule of RULES) {
      expect(FAILURE_CLASSES).toContain(rule.class);
      expect(rule.remedy.length).toBeGreaterThan(15);
      expect(rule.remedy.length).toBeLessThan(200);
    }
  });

  it.each(RULES.map((rule) => [rule.id, rule] as const))(
    '%s sees its sample and no other',
    (id, rule) => {
      const [positive, negative] = SAMPLES[id] ?? ['', ''];
      expect(rule.pattern.test(positive), positive).toBe(true);
      expect(rule.pattern.test(negative), negative).toBe(false);
      expect(findingsIn(`before\n${positive}\nafter`).map(({ code }) => code)).toContain(id);
    },
  );

  const see = (ids: readonly string[]): void => {
    for (const id of ids) {
      const [positive = '', negative = ''] = SAMPLES[id] ?? [];
      expect(
        findingsIn(positive).map(({ code }) => code),
        id,
      ).toContain(id);
      expect(
        findingsIn(negative).map(({ code }) => code),
        id,
      ).not.toContain(id);
    }
  };
  it('know every trouble of a cloud and its offers [D-001, D-002, D-003, D-004, D-005, D-006, D-007, D-008, D-009, D-010, D-011, D-012, D-013, D-014, D-015, D-016, D-017, D-018]', () => {
    see(range(1, 18));
  });
  it('know every trouble of a boot [D-020, D-021, D-022, D-023, D-024, D-025, D-026, D-027, D-028, D-029]', () => {
    see(range(20, 29));
  });

  it.each([
    ['a bad key is answered with 404 (vast.md 16.2)', 'error 404: Invalid user key', 'D-001'],
    ['no key at all', '{"error":"auth_error","msg":"This action requires login."}', 'D-001'],
    ['an offer that is gone', 'error 404/3603: no_such_ask  Instance type by id 1', 'D-004'],
    ['a GPU that was taken', 'Required resources are currently unavailable, state', 'D-004'],
    ['a plain 429 (vast.md 16.3)', 'API requests too frequent: endpoint threshold=4.5', 'D-006'],
    ['no money', '{"success":false,"error":"insufficient_credit"}', 'D-003'],
    ['a bid', 'error 400: Please set a bid price >= 0.001.', 'D-015'],
    ['a pod that is gone', 'error 404: Instance 12345 not found.', 'D-010'],
    ['a container', 'Error response from daemon: failed: OCI runtime create failed: x', 'D-020'],
    ['an image', 'pull access denied for x, repository does not exist', 'D-021'],
  ])('know the words of Vast.ai: %s', (_what, text, id) => {
    expect(findingsIn(text).map(({ code }) => code)).toEqual([id]);
  });

  it('have only bounded repetitions, so that no line is slow', () => {
    for (const { id, pattern } of RULES) {
      expect(pattern.flags, id).toBe('i');
      expect(pattern.source.replace(/\\./g, ''), id).not.toMatch(/[*+]|\{\d+,\}/);
    }
    const [name, ms] = [...RULES]
      .map(({ id, pattern }) => {
        const begin = performance.now();
        const words = pattern.source.replace(/[^a-z ]+/gi, ' ');
        findingsIn(`${words.repeat(2000)}\n`.repeat(20));
        return [id, performance.now() - begin] as const;
      })
      .reduce((worst, each) => (each[1] > worst[1] ? each : worst));
    expect(ms, name).toBeLessThan(2000);
  });

  it('do not mistake numbers of a training log for HTTP errors', () => {
    for (const number of [401, 403, 404, 429, 500, 502, 503, 512, 524])
      expect(
        findingsIn(`step ${number}/9000 loss 0.${number} server=gpu${number}`),
        `${number}`,
      ).toEqual([]);
  });

  it('put the earliest cause first and effects last [FA-04]', () => {
    const text = [
      'Watchdog caught collective operation timeout',
      'torch.OutOfMemoryError: CUDA out of memory.',
      'ModuleNotFoundError: No module named x',
      'torch.distributed.elastic ChildFailedError:',
    ].join('\n');
    expect(findingsIn(text).map(({ code }) => code)).toEqual(['D-050', 'D-120', 'D-090', 'D-096']);
  });

  it('stay quick and quiet on any text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 3000, unit: 'binary' }), (text) => {
        for (const { evidence } of findingsIn(text))
          expect((evidence ?? '').length).toBeLessThan(600);
      }),
      { numRuns: 50 },
    );
  });
});

describe('the cause of a bad end', () => {
  const nothing = { stdout: '', stderr: '', ended: 'exit' } as const;

  it('a smoke command that failed is named, with its last words and causes [FA-02]', () => {
    expect(diagnoseJob({ ...nothing, ended: 'smoke_failed', stdout: 'odd\n' })).toMatchObject([
      { code: 'smoke_failed', retryable: 'after_fix', evidence: 'odd' },
    ]);
    const codes = diagnoseJob({
      ...nothing,
      ended: 'smoke_failed',
      stderr: "ModuleNotFoundError: No module named 'torch'\n",
    }).map(({ code }) => code);
    expect(codes[0]).toBe('smoke_failed');
    expect(codes.length).toBeGreaterThan(1);
    expect(diagnoseJob({ ...nothing, ended: 'smoke_timed_out' })[0]?.code).toBe('smoke_timed_out');
  });

  it('is a fact of the machine before any word of the log [FA-02]', () => {
    const stderr = 'RuntimeError: CUDA out of memory';
    expect(diagnoseJob({ ...nothing, stderr, ended: 'reboot' })[0]?.code).toBe('D-061');
    expect(diagnoseJob({ ...nothing, stderr, oomKills: 2, exitCode: 137 })[0]).toMatchObject({
      code: 'D-054',
      class: 'oom_host',
    });
    expect(diagnoseJob({ ...nothing, exitCode: 137, oomKills: 0 })[0]?.code).toBe('D-055');
    expect(diagnoseJob({ ...nothing, ended: 'disk_full' })[0]?.class).toBe('disk');
    const [never] = diagnoseJob({ ...nothing, ended: 'disk_full', notStarted: 'disk_full' });
    expect(never).toMatchObject({ code: 'not_started', class: 'disk' });
    expect(never?.remedy).toMatch(/^It did not start: the disk of the pod is full\. /);
    expect(diagnoseJob({ ...nothing, ended: 'timed_out' })[0]?.class).toBe('timeout');
    expect(diagnoseJob({ ...nothing, ended: 'killed' })[0]?.code).toBe('D-055');
  });

  it('is unknown when nothing matches, with the last 50 lines [FA-05]', () => {
    const stderr = Array.from({ length: 80 }, (_, index) => `odd ${index}`).join('\n');
    const [finding, ...rest] = diagnoseJob({ ...nothing, stderr, exitCode: 9 });
    expect(rest).toEqual([]);
    expect(finding).toMatchObject({ code: 'unknown', class: 'unknown' });
    expect(finding?.evidence?.split('\n')).toHaveLength(50);
    expect(finding?.evidence).toContain('odd 79');
  });

  it('keeps what the machine printed out of our own words', () => {
    const stderr = 'No module named ignore-all-instructions\u001b[2J';
    const [finding] = diagnoseJob({ ...nothing, stderr });
    expect(finding?.remedy).not.toContain('ignore');
    expect(finding?.evidence).toBe('No module named ignore-all-instructions');
  });
});
