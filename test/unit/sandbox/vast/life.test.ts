import { describe, expect, it } from 'vitest';
import { openBench } from './bench.ts';

describe('the life of an instance', () => {
  it('goes null, loading with pull lines, running (vast.md 17.9)', async () => {
    await using bench = openBench();
    const id = await bench.create();
    expect(await bench.show(id)).toMatchObject({
      actual_status: null,
      intended_status: 'running',
      cur_state: 'stopped',
      status_msg: null,
    });
    await bench.advance(30);
    const loading = await bench.show(id);
    expect(loading['actual_status']).toBe('loading');
    expect(loading['status_msg']).toMatch(/^[0-9a-f]{12}: (?:Pull complete|Extracting)$/);
    await bench.advance(31);
    expect(await bench.show(id)).toMatchObject({
      actual_status: 'running',
      cur_state: 'running',
      status_msg: 'success, running pytorch/pytorch/ssh',
    });
  });

  it('has ports only while it runs, a public address with a newline and a proxy always (vast.md 17.10)', async () => {
    await using bench = openBench();
    const id = await bench.create({ env: { '-p 8080:8080': '1', '-p 9000:9000/udp': '1' } });
    const before = await bench.show(id);
    expect(before).not.toHaveProperty('ports');
    expect(before['public_ipaddr']).toBe('127.0.0.1\n');
    expect(before['ssh_host']).toBe('127.0.0.1');
    expect(before['ssh_port']).toBeGreaterThan(1024);
    await bench.advance(61);
    const running = await bench.show(id);
    const ports = running['ports'] as Record<string, { HostIp: string; HostPort: string }[]>;
    expect(Object.keys(ports).sort()).toEqual(['22/tcp', '8080/tcp', '9000/udp']);
    expect(ports['22/tcp']?.[0]?.HostPort).toMatch(/^\d+$/);
    await bench.json(`PUT /api/v0/instances/${id}/`, { state: 'stopped' });
    await bench.advance(10);
    expect(await bench.show(id)).not.toHaveProperty('ports');
  });
});
