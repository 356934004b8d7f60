/**
 * Spaces calls out evenly: DeleteFaces, DeleteCollection and in most Regions ListFaces may be called five times a second.
 * https://docs.aws.amazon.com/general/latest/gr/rekognition.html
 *
 * @returns a function that resolves when the next call may be made
 */
export function evenPace(
  callsPerSecond: number,
  { now, sleep }: { now(): number; sleep(ms: number): Promise<unknown> },
): () => Promise<void> {
  const intervalMs = 1_000 / callsPerSecond;
  let nextMs = 0;
  return async () => {
    const mine = Math.max(nextMs, now());
    nextMs = mine + intervalMs;
    if (mine > now()) {
      await sleep(mine - now());
    }
  };
}

/** ListFaces in most Regions; ListCollections, DescribeCollection and DeleteCollection everywhere. */
export const LISTINGS_PER_SECOND = 5;

/** DeleteFaces, in every Region. */
export const DELETIONS_PER_SECOND = 5;
