/** One end of a line between two threads: what is posted at one end comes out as a message at the other, in order. */
export interface Port {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (message: unknown) => void): unknown;
}
