import type { Page } from '../core/page.ts';

/** Room for the rest of a result below the 40,000 characters that a result may have. */
const MAX_OUTPUT_CHARS = 36_000;

interface PageRequest {
  readonly offset?: number | undefined;
  readonly maxBytes: number;
  readonly waitSeconds?: number;
  readonly tailLines?: number | undefined;
}

/**
 * Reads a page whose JSON fits into a result. Escaping makes text longer (a raw terminal page up to six times), and
 * cutting a page afterwards would make `nextOffset` a lie: so the same offset is read again with fewer bytes. Last
 * lines are counted from the end again, which keeps the end.
 */
export async function fitPage<Request extends PageRequest, P extends Page>(
  request: Request,
  read: (request: Request) => Promise<P>,
): Promise<P> {
  let page = await read(request);
  let maxBytes = request.maxBytes;
  for (let tries = 0; tries < 8; tries += 1) {
    const chars = JSON.stringify(page.output).length;
    if (chars <= MAX_OUTPUT_CHARS || maxBytes <= 1) return page;
    maxBytes = Math.max(1, Math.floor((maxBytes * MAX_OUTPUT_CHARS) / chars / 1.1));
    page = await read({
      ...request,
      ...(request.tailLines === undefined ? { offset: page.offset } : {}),
      maxBytes,
      ...(request.waitSeconds === undefined ? {} : { waitSeconds: 0 }),
    });
  }
  return page;
}
