import { type Rule, rule } from './rule.ts';

/** What a machine says while it boots, and what our own ladder calls it. */
export const BOOT_RULES: readonly Rule[] = [
  rule(
    'D-020',
    /OCI runtime.{0,80}(?:failed|error)|nvidia-container-cli/,
    'host_fault',
    'other_host',
    'Image and host do not go together: use a template of the provider, or another host.',
  ),
  rule(
    'D-021',
    /ImagePullBackOff|manifest unknown|pull access denied|toomanyrequests/,
    'config',
    'after_fix',
    'The image cannot be pulled: check its tag, the registry login, and the registry rate limit.',
  ),
  rule(
    'D-022',
    /\b(?:actual_)?status\W{1,4}(?:exited|offline)\b|\bhost(?: machine)? (?:is |went )offline\b/,
    'host_fault',
    'other_host',
    'This machine will not start any more: destroy it, prove it gone, take the next offer.',
  ),
  rule(
    'D-023',
    /\bno_ssh_mapping\b|\bssh port not found\b|\bport 22\b.{0,40}\bnot (?:mapped|exposed|published|open)\b/,
    'config',
    'after_fix',
    'No way in for SSH: the template lacks 22/tcp, the container restarts again and again, or the host has no open ports.',
  ),
  rule(
    'D-024',
    /\b22\/http\b|\b(?:private|http)[ -]only\b.{0,40}\b22\b/,
    'config',
    'after_fix',
    'Port 22 is not a public TCP port there: ask for 22/tcp, or take a template with SSH.',
  ),
  rule(
    'D-025',
    /exec format error/,
    'config',
    'after_fix',
    'The program was built for another processor, or has no interpreter line.',
  ),
  rule(
    'D-026',
    /\bslow_host\b|\bstill (?:pulling|downloading|loading) (?:the )?(?:image|layers?)\b/,
    'timeout',
    'other_host',
    'The image is large or the host slow: extend the wait once, then take another host.',
  ),
  rule(
    'D-027',
    /CrashLoopBackOff|back-off restarting/,
    'config',
    'after_fix',
    'The container ends as soon as it starts: it needs a command that stays.',
  ),
  rule(
    'D-028',
    /\bno_gpu\b|\b(?:0|no|zero) gpus? (?:is |are )?(?:visible|found|detected|attached)\b/,
    'host_fault',
    'other_host',
    'The machine has no GPU: start no job on it, destroy it, rent another.',
  ),
  rule(
    'D-029',
    /\bgpu_mismatch\b|\b(?:fewer|less|other) (?:gpus?|vram|gpu memory) than (?:was )?(?:offered|promised|advertised|sold)\b/,
    'host_fault',
    'other_host',
    'The GPU is not the one that was sold: destroy the pod, take another offer.',
  ),
];
