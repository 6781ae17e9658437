import { expect, it } from 'vitest';
import { isLoopback } from '../../../src/core/loopback.ts';

it('knows what is on this machine', () => {
  const urls = ['http://127.0.0.1:1', 'http://localhost:9/x', 'http://[::1]:3', 'http://127.9.8.7'];
  expect(urls.map(isLoopback)).toEqual([true, true, true, true]);
  expect(isLoopback('https://console.vast.ai')).toBe(false);
  expect(isLoopback('https://127.0.0.1.evil.example')).toBe(false);
});
