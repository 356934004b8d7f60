import type { ErasureBatch } from '../../lambdas/shared/erasure/contract.ts';
import { LambdaError, type LambdaFunction, type LambdaRuntime } from '../../local/lambda-runtime.ts';
import type { LambdaFault } from './plan.ts';
import { type Run, type Scene, versionOf } from './scene.ts';

/** Functions of erase-faces. */
const ERASURE = /RequestErasure|ListErasures|RemoveFaces|ConfirmErasure/;

/** What functions are called with, as far as the campaign looks into it. */
interface Payload {
  Records?: unknown;
  input?: { object?: { key?: string; etag?: string }; faces?: unknown; batch?: Batch };
  batch?: Batch;
  ask?: string;
  photos?: { photo_id: string; face_id: string }[];
  faces?: { photo_id: string; face_id: string }[];
}

type Batch = Pick<ErasureBatch, 'kind' | 'event_id' | 'face_ids' | 'deleted_photos' | 'results'>;

/** What disturbs functions, and what is noted of each invocation. */
export function functionFaults(scene: Scene) {
  const functions = new Map<string, [LambdaFunction, LambdaRuntime]>();
  const noteVoids = voidNotes(scene);
  let removing = 0;

  async function invoke(fn: LambdaFunction, payload: unknown, lambdas: LambdaRuntime): Promise<unknown> {
    functions.set(fn.arn, [fn, lambdas]);
    const request = (payload ?? {}) as Payload;
    const photoId = Array.isArray(request.Records)
      ? 'batch'
      : scene.photoOf(request.input?.object?.key ?? '');
    const about = photoId ?? '*';
    const fault = faultOf(scene.run, fn.name, photoId);
    if (fault) {
      scene.run?.struck(about, `Lambda ${fn.name}: ${JSON.stringify(fault)}`);
    }
    removing += fn.name.includes('RemoveFaces') ? 1 : 0;
    noteVoids(fn, request);
    try {
      return await (fault ? disturbed(fault, fn, payload, lambdas) : lambdas.invoke(fn, payload));
    } catch (thrown) {
      const error = thrown as Error;
      // On a busy machine a function runs out of time without our doing.
      if (!fault && /^(Sandbox|Runtime)\./.test(error.name)) {
        scene.run?.note(about, `by itself: Lambda ${fn.name} ${error.name}`);
      }
      if (error.name === 'ResultNotFound' && photoId !== undefined) {
        scene.run?.note(photoId, `lost ${request.input?.object?.etag}`);
      }
      throw error;
    } finally {
      noteVoids(fn, request);
      removing -= fn.name.includes('RemoveFaces') ? 1 : 0;
    }
  }

  return {
    invoke,
    /** Ends all idle execution environments. */
    coldStarts() {
      for (const [fn, lambdas] of functions.values()) {
        lambdas.recycle(fn);
      }
    },
    isRemoving: () => removing > 0,
  };
}

function faultOf(run: Run | undefined, name: string, photoId: string | undefined): LambdaFault | undefined {
  const [erasing] = ERASURE.exec(name) ?? [];
  if (erasing !== undefined) {
    return run?.plan.erasureLambda(erasing);
  }
  return photoId === undefined ? undefined : run?.plan.lambda(name, photoId);
}

/** Notes from when on a stored response is of no use any more, because faces that it names are being taken away. */
function voidNotes(scene: Scene): (fn: LambdaFunction, request: Payload) => void {
  /** Photos of faces that somebody asked to be removed, by face id. */
  const owners = new Map<string, string>();

  function noteQuestion({ ask, photos, faces }: Payload): void {
    const isLoss = ask === 'lose_faces';
    for (const { photo_id, face_id } of (isLoss ? photos : faces) ?? []) {
      owners.set(face_id, photo_id);
      if (isLoss) {
        scene.run?.note(photo_id, 'void *');
      }
    }
  }

  function noteBatch(run: Run, batch: Batch): void {
    const ofFaces = batch.face_ids.flatMap((faceId) => owners.get(faceId) ?? []);
    for (const photoId of new Set([...batch.deleted_photos, ...ofFaces])) {
      run.note(photoId, 'void *');
    }
    for (const name of batch.results) {
      const photoId = scene.photoOf(name);
      if (photoId !== undefined) {
        run.note(photoId, `void ${name.endsWith('/') ? '*' : versionOf(name)}`);
      }
    }
    if (batch.kind === 'event') {
      run.note(batch.event_id, 'void *');
    }
  }

  return (fn, request) => {
    if (fn.name.includes('AnswerOperator')) {
      noteQuestion(request);
      return;
    }
    if (fn.name.includes('RequestErasure')) {
      for (const [faceId, photoId] of (request.input?.faces as [string, string][] | undefined) ?? []) {
        owners.set(faceId, photoId);
      }
    }
    const batch = request.batch ?? request.input?.batch;
    if (batch && scene.run?.eventIds.includes(batch.event_id)) {
      noteBatch(scene.run, batch);
    }
  };
}

function failure(errorType: string): LambdaError {
  return new LambdaError(errorType, JSON.stringify({ errorType, errorMessage: 'injected' }));
}

const SERVICE_FAILURES = {
  too_many_requests: 'Lambda.TooManyRequestsException',
  service: 'Lambda.ServiceException',
  unknown: 'Lambda.Unknown',
} as const;

/** What Step Functions is told when the environment is killed. */
const KILLS = {
  killed: undefined,
  timeout: 'Sandbox.Timedout',
  out_of_memory: 'Runtime.OutOfMemory',
} as const;

async function disturbed(
  fault: LambdaFault,
  fn: LambdaFunction,
  payload: unknown,
  lambdas: LambdaRuntime,
): Promise<unknown> {
  switch (fault.kind) {
    case 'crash_before':
      throw failure('Runtime.ExitError');
    case 'crash_after': {
      let kill: (() => Promise<void>) | undefined;
      await lambdas
        .invoke(fn, payload, (killer) => {
          kill = killer;
        })
        .catch(() => {});
      await kill?.();
      throw failure('Runtime.ExitError');
    }
    case 'too_many_requests':
    case 'service':
    case 'unknown':
      throw failure(SERVICE_FAILURES[fault.kind]);
    case 'cold':
      lambdas.recycle(fn);
      return lambdas.invoke(fn, payload);
    default: {
      let timer: NodeJS.Timeout | undefined;
      let isKilled = false;
      try {
        return await lambdas.invoke(fn, payload, (kill) => {
          timer = setTimeout(() => {
            isKilled = true;
            void kill();
          }, fault.afterMs);
        });
      } catch (error) {
        const name = KILLS[fault.kind];
        throw isKilled && name ? failure(name) : error;
      } finally {
        clearTimeout(timer);
      }
    }
  }
}
