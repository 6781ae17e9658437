import type { Platform } from '../../../core/platform.ts';
export function platformOfHost(host: string): Platform | undefined {
  return host === '' ? undefined : undefined;
}
