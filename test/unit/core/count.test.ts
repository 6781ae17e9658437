import { expect, it } from 'vitest';
import { count } from '../../../src/core/count.ts';

it.each([
  [0, '0 files'],
  [1, '1 file'],
  [1.5, '1.5 files'],
  [2, '2 files'],
])('%d is said as "%s"', (items, words) => {
  expect(count(items, 'file')).toBe(words);
});

it('takes the plural where an s is not enough', () => {
  expect(count(1, 'entry', 'entries')).toBe('1 entry');
  expect(count(3, 'entry', 'entries')).toBe('3 entries');
});
