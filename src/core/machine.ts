import { z } from 'zod';
import type { CallOptions } from './call.ts';
import { podIdSchema } from './ids.ts';

/** One SSH server: its address, who we are there, and how it proves that it is itself. */
const sshTargetSchema = z.object({
  host: z.string().min(1),
  port: z.int().min(1).max(65_535),
  user: z.string().min(1),
  /** Path of the private key on this machine: this key and no other, from the file or from the agent. */
  keyPath: z.string().exactOptional(),
  /** Without `keyPath`: tried in this order as far as they exist, after what the agent holds. Absent: the agent alone. */
  keyPaths: z.array(z.string()).exactOptional(),
  /** Without `keyPath`: of the agent only the keys of `keyPaths` are offered. */
  identitiesOnly: z.boolean().exactOptional(),
  /** Socket of the SSH agent. Absent: the one of the person. Empty: none. */
  agentSocket: z.string().exactOptional(),
  /** Base64 of the host's public key blob where the provider told it; then nothing else is accepted. */
  hostKey: z.string().exactOptional(),
  /** The same from the person's known_hosts: one of these, or it is another machine. */
  knownHostKeys: z.array(z.string()).exactOptional(),
  /** Never accepted. */
  revokedHostKeys: z.array(z.string()).exactOptional(),
});
export type SshTarget = Readonly<z.output<typeof sshTargetSchema>>;

/** How to reach a pod by SSH. Host keys are filed under `podId`, so a reused address never confuses two pods. */
export const sshEndpointSchema = z.object({
  podId: podIdSchema,
  ...sshTargetSchema.shape,
  /** Tried once after `user` was clearly denied. Only where nobody chose `user`. */
  secondUser: z.string().min(1).exactOptional(),
  /** Machines on the way, nearest first. */
  via: z.array(sshTargetSchema).exactOptional(),
  /** A program of the person's own ssh configuration that carries the connection to the first machine of the way. */
  proxyCommand: z.string().min(1).exactOptional(),
  /** A proxy carries a shell only; direct also carries exec and copies. */
  route: z.enum(['direct', 'proxy']),
  /** A terminal and nothing else: no command of ours ever runs through it. */
  shellOnly: z.boolean().exactOptional(),
  /** Absolute. Absent: found on the pod (`/workspace` where it exists, else the home). */
  workFolder: z.string().exactOptional(),
});
export type SshEndpoint = Readonly<z.output<typeof sshEndpointSchema>>;

/**
 * Answers how a pod is reached right now. Managed pods by lease and provider, `ssh:` pods by profile.
 * Throws `not_found` for an id nobody knows, `pod_gone`, or `pod_not_ready` while there is no endpoint.
 */
export interface Machines {
  endpoint(podId: PodIdOf, options: EndpointOptions): Promise<SshEndpoint>;
}
export interface EndpointOptions extends CallOptions {
  /** Nobody answered at the last answer: what was saved or is remembered does not count. */
  readonly moved?: boolean;
}
type PodIdOf = SshEndpoint['podId'];

/** How far a plain connection comes: `closed`: no TCP; `open`: TCP, but nobody says to be SSH in time; `ssh`: a server spoke. */
export type Reach = 'closed' | 'open' | 'ssh';

/** Looks at an address without logging in. Never throws for the machine; rejects when aborted. */
export interface Probe {
  reach(
    address: Pick<SshEndpoint, 'host' | 'port'>,
    options: CallOptions & { readonly connectSeconds: number; readonly bannerSeconds: number },
  ): Promise<Reach>;
}

/** Our own SSH key pair: made on first use under GPU_LEASE_HOME, or the one GPU_LEASE_SSH_KEY names. */
export interface SshIdentity {
  readonly keyPath: string;
  /** One line of authorized_keys. Makes the pair when there is none. */
  publicKey(options: CallOptions): Promise<string>;
}

/** Values of the server's own environment, by name. Every value handed out is also redacted from all output. */
export interface Secrets {
  value(name: string): string | undefined;
  /** Masks a part of such a value, which may be shown on its own, from now on. */
  readonly mask?: (part: string) => void;
}
