import type { FaultKind } from '../../core/sandbox.ts';
import { faultTable } from '../fault-table.ts';

/** Faults of the wire: any route, before or after the work is done. */
export const ROUTE_FAULTS = {
  'rate-limit':
    'The route answers 429; REST v2 with Retry-After of `value` seconds, else 20, the others with a page of a proxy.',
  'http-500': 'The route answers 500, worded as this API does.',
  'http-502': 'The route answers 502 with an HTML page of a proxy.',
  'http-503': 'The route answers 503 with plain text.',
  'html-403': 'A firewall in front answers 403 with an HTML page.',
  html: 'The route answers 200 with an HTML page instead of JSON.',
  truncated: 'The work is done, and the JSON answer is cut in the middle.',
  'drop-before': 'The connection dies before anything is done.',
  'drop-after': 'The work is done, and the connection dies before the answer.',
  'done-but-500': 'The work is done, a pod is created too, and the answer is 500.',
  stall: 'The work is done, and the answer never comes.',
  slow: 'The answer comes late: `value` seconds, else 20.',
  'api-gone': 'The whole API of the route is withdrawn: 410.',
  'api-missing': 'The whole API of the route is withdrawn: 404.',
} as const;

/** Faults of an order. Their route also names cloud, GPU type and data center that are asked for. */
const MARKET_FAULTS = {
  'no-capacity': 'Nothing can be rented with these specifications (SUPPLY_CONSTRAINT).',
  'host-unfit': 'The machine does not have the resources to deploy the pod.',
  'no-credit': 'The account balance is too low to rent a pod.',
  'create-wrong': 'The create fails with "Something went wrong".',
  'create-null': 'The create answers success and no pod: null.',
  'price-rise': 'The pod costs `value` times as much as the catalogue says, else 1.5.',
  'list-lag': 'The new pod is missing from lists for `value` seconds, else 20.',
  'storage-fails': 'A network volume cannot be made: no storage cluster in the data center.',
} as const;

/** Faults of a pod, decided when it is rented. `afterSeconds` after its container runs, where that makes sense. */
const BOOT_FAULTS = {
  'no-machine': 'No machine is told for `value` seconds, else 30: no gateway name.',
  'no-runtime': 'The container never comes: runtime stays null.',
  'slow-boot': 'The boot takes `value` seconds longer, else 900.',
  'image-not-found': 'The image does not exist: only the system log says so.',
  'pull-denied': 'The registry refuses: only the system log says so.',
  'crash-loop': 'The container starts and ends again and again.',
  'pod-error': 'The container fails for good: ERROR in REST v2, RUNNING elsewhere.',
  'runtime-flaps': 'A running pod is told with runtime null every other time.',
  'ports-null': 'The ports of a running pod stay null.',
  'ports-late': 'The ports of a running pod are null for `value` seconds, else 600.',
  'private-only': 'Only private ports are ever told.',
  'no-sshd': 'Nobody listens behind the SSH port.',
  'ssh-nowhere': 'The SSH address leads nowhere.',
  'ssh-mute': 'SSH is accepted and never sends a banner.',
  'ssh-late': 'SSH answers `value` seconds after the container, else 120.',
  'ssh-refuses-key': 'The SSH server knows none of our keys.',
  exits: 'The machine fails `afterSeconds` after the container runs, else 60: EXITED.',
  outbid: 'Somebody bids more for an interruptible pod: `afterSeconds` after it runs, else 60.',
  vanishes: 'The pod is gone without being terminated: `afterSeconds` after it was made, else 60.',
  'wrong-gpu': 'Another GPU than was sold is in the machine: `value`, else a smaller one.',
  'fewer-gpus': 'Fewer GPUs than were sold are in the machine: `value`, else one less.',
} as const;

/** Faults of later calls, by GPU type, machine or route. */
const LATER_FAULTS = {
  'host-full': 'There are not enough free GPUs on the host to start the pod again.',
  'stale-ports': 'A restarted pod tells its old ports for `value` seconds, else 90.',
  'stale-runtime': 'A stopped pod tells its old runtime for `value` seconds, else 60.',
  'stop-ignored': 'Stop answers success and does nothing.',
  'terminate-lingers':
    'Terminate answers success, and the pod lives (and bills) on for `value` seconds, else 60.',
  'terminate-ignored': 'Terminate answers success and does nothing.',
  'terminate-fails': 'Terminate fails with "Something went wrong" and does nothing.',
  'terminate-404': 'Terminate answers that there is no such pod, and the pod lives on.',
  'deadline-ignored': 'stopAfter and terminateAfter of a pod have no effect.',
  'null-once': 'A living pod is told as not found once.',
  'reads-nothing': 'A list leaves a living pod out.',
  'logs-silent': 'The log stream opens and never says anything.',
  'keys-lost': 'The keys of the account are accepted and not kept.',
} as const;

/** Every fault that this cloud can have, with one sentence each for people. */
export const RUNPOD_FAULTS: readonly FaultKind[] = [
  ...faultTable(ROUTE_FAULTS, ['rate-limit', 'http-502', 'http-503', 'drop-before', 'slow']),
  ...faultTable(MARKET_FAULTS, ['no-capacity', 'list-lag']),
  ...faultTable(BOOT_FAULTS, ['no-runtime', 'exits', 'private-only', 'no-sshd']),
  ...faultTable(LATER_FAULTS, ['terminate-fails', 'null-once', 'host-full']),
];

export type RouteFault = keyof typeof ROUTE_FAULTS;
export type RunpodFault =
  | RouteFault
  | keyof typeof MARKET_FAULTS
  | keyof typeof BOOT_FAULTS
  | keyof typeof LATER_FAULTS;
/** Decided when the pod is made, in the order in which they are asked for. */
export const BOOT_FAULT_KINDS: readonly RunpodFault[] = Object.keys(BOOT_FAULTS).flatMap((name) =>
  isBootFault(name) ? [name] : [],
);
function isBootFault(name: string): name is keyof typeof BOOT_FAULTS {
  return Object.hasOwn(BOOT_FAULTS, name);
}
