import { rekognitionError } from '../runtime/aws-errors.ts';

/**
 * What a paced call to Rekognition answers, or undefined when its collection is gone.
 *
 * @param deps.pace resolves when the next call may be made
 * @throws PipelineError every other error of Rekognition, by its name
 */
export async function unlessGone<Output>(
  { pace }: { pace(): Promise<void> },
  call: () => Promise<Output>,
): Promise<Output | undefined> {
  await pace();
  try {
    return await call();
  } catch (error) {
    const renamed = rekognitionError(error);
    if (renamed.name === 'CollectionNotFound') {
      return undefined;
    }
    throw renamed;
  }
}
