import type { RekognitionOptions } from '../../local/rekognition/server.ts';
import type { RekognitionFault } from './plan.ts';
import type { Scene } from './scene.ts';

type Intercept = NonNullable<RekognitionOptions['intercept']>;
type Answer = Awaited<ReturnType<Intercept>>;

/** What disturbs Rekognition: refusals of photos, storms of throttles, and faults of single calls. */
export function rekognitionFaults(scene: Scene) {
  let stormUntil = 0;

  const intercept: Intercept = (operation, request, { accessKeyId }) => {
    const { run } = scene;
    if (!run || accessKeyId === 'LOCAL-operator') {
      return undefined;
    }
    const photoId = operation === 'IndexFaces' ? (request.ExternalImageId as string) : '*';
    if (operation === 'IndexFaces') {
      const refusal = run.refusalOf(photoId);
      if (refusal) {
        return { error: { name: refusal as 'InvalidImageFormatException' } };
      }
      if (Date.now() < stormUntil) {
        return { error: { name: 'ProvisionedThroughputExceededException' } };
      }
    }
    const fault = run.plan.rekognition(`${operation}/${photoId}`);
    if (!fault) {
      return undefined;
    }
    run.struck(photoId, `Rekognition ${operation}: ${JSON.stringify(fault)}`);
    return answerOf(fault, operation);
  };

  const onCall: NonNullable<RekognitionOptions['onCall']> = (operation, request, error) => {
    if (operation === 'IndexFaces' && error === undefined) {
      scene.run?.note(request.ExternalImageId as string, 'paid');
    }
  };

  return {
    intercept,
    onCall,
    /** Throttles every call for so long. */
    storm(ms: number) {
      stormUntil = Date.now() + ms;
    },
    calm() {
      stormUntil = 0;
    },
  };
}

function answerOf(fault: RekognitionFault, operation: string): Answer {
  if ('drop' in fault) {
    return { dropConnection: fault.drop };
  }
  if ('delayMs' in fault) {
    return fault;
  }
  const name =
    operation === 'IndexFaces' || fault.error !== 'ResourceNotFoundException'
      ? fault.error
      : 'InternalServerError';
  return { error: { name } };
}
