import { createPod } from './create-pod.ts';
import { destroy } from './destroy.ts';
import { diagnose } from './diagnose.ts';
import { doctor } from './doctor.ts';
import { fetchArtifacts } from './fetch-artifacts.ts';
import { findOffer } from './find-offer.ts';
import { getPod } from './get-pod.ts';
import { jobCancel } from './job-cancel.ts';
import { jobLogs } from './job-logs.ts';
import { jobStart } from './job-start.ts';
import { jobWait } from './job-wait.ts';
import { listPods } from './list-pods.ts';
import { report } from './report.ts';
import { sessionClose } from './session-close.ts';
import { sessionOpen } from './session-open.ts';
import { sessionRead } from './session-read.ts';
import { sessionWrite } from './session-write.ts';
import { sshProfile } from './ssh-profile.ts';
import { syncFiles } from './sync-files.ts';
import type { Tool } from './tool.ts';
import { updatePod } from './update-pod.ts';

/** Every tool, in the order in which clients see them. */
export const TOOLS: readonly Tool[] = [
  findOffer,
  createPod,
  getPod,
  listPods,
  updatePod,
  destroy,
  sshProfile,
  doctor,
  sessionOpen,
  sessionWrite,
  sessionRead,
  sessionClose,
  syncFiles,
  fetchArtifacts,
  jobStart,
  jobWait,
  jobLogs,
  jobCancel,
  diagnose,
  report,
];
