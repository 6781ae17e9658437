import { type Contract, contractSchema } from '../../../../src/providers/vast/wire.ts';

/** The running pod of vast.md 5.3, with changes, read as the client reads it. */
export function contract(changes: Readonly<Record<string, unknown>> = {}): Contract {
  return contractSchema.parse(contractRow(changes));
}

export function contractRow(
  changes: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  return {
    id: 7835610,
    actual_status: 'running',
    intended_status: 'running',
    cur_state: 'running',
    next_state: 'running',
    status_msg: 'success, running pytorch/pytorch/ssh',
    label: 'gpl-1',
    image_uuid: 'pytorch/pytorch',
    image_runtype: 'ssh_direc ssh_proxy',
    extra_env: [['A', '1']],
    ssh_host: 'ssh5.vast.ai',
    ssh_idx: '5',
    ssh_port: 35610,
    public_ipaddr: '203.0.113.42\n',
    ports: {
      '22/tcp': [{ HostIp: '0.0.0.0', HostPort: '33526' }],
      '8080/tcp': [{ HostIp: '0.0.0.0', HostPort: '33527' }],
    },
    machine_id: 36683,
    start_date: 1786000000.22,
    end_date: 1793456000,
    num_gpus: 1,
    dph_base: 0.35,
    dph_total: 0.3633333333,
    is_bid: false,
    min_bid: 0.2,
    ...changes,
  };
}

/** The offer of vast.md 3.5, with changes. */
export function offerRow(
  changes: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  return {
    id: 26913465,
    ask_contract_id: 26913465,
    machine_id: 36683,
    host_id: 55555,
    hosting_type: 0,
    gpu_name: 'RTX 4090',
    num_gpus: 1,
    gpu_ram: 24564,
    gpu_total_ram: 24564,
    gpu_frac: 0.25,
    compute_cap: 890,
    cuda_max_good: 12.8,
    cpu_cores: 96,
    cpu_cores_effective: 24,
    cpu_ram: 257834,
    disk_space: 812.4,
    inet_up: 654.6,
    inet_down: 789.1,
    inet_up_cost: 0.0045,
    inet_down_cost: 0.0012,
    direct_port_count: 249,
    geolocation: 'Texas, US',
    dph_base: 0.35,
    storage_cost: 0.15,
    storage_total_cost: 0.0133333333,
    dph_total: 0.3633333333,
    min_bid: 0.2,
    is_bid: false,
    reliability2: 0.9966,
    reliability: 0.9966,
    verification: 'verified',
    rentable: true,
    rented: false,
    external: false,
    end_date: 1893456000,
    duration: 2592000,
    ...changes,
  };
}
