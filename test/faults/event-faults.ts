import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import * as v from 'valibot';
import { executionInputSchema } from '../../lambdas/shared/contract/payloads.ts';
import type { BusEvent } from '../../local/cloud.ts';
import type { ExecutionFault } from './plan.ts';
import { executionPrefix, type Run, type Scene } from './scene.ts';

type Publish = (event: BusEvent) => void;

/** Of an event of S3, or of Step Functions. */
interface Detail {
  object?: { key?: string };
  input?: string;
  status?: string;
  executionArn?: string;
}

/** What disturbs events: lost, late or told again; and executions, which are stopped after the event of their start. */
export function eventFaults(scene: Scene) {
  const stopSometimes = executionFaults(scene);
  /** Events so far, by photo. */
  const told = new Map<string, number>();
  let held = 0;
  let drops = false;

  function publishStatus(event: BusEvent, detail: Detail, publish: Publish): void {
    const { run } = scene;
    stopSometimes(detail);
    // At least once, also for what becomes of executions.
    const twice =
      run && detail.status !== 'RUNNING' && run.plan.chance(`twice/${detail.executionArn}`) < 0.05;
    publish(event);
    if (twice) {
      publish(event);
    }
  }

  function publishOfPhoto(run: Run, photoId: string, event: BusEvent, key: string, publish: Publish): void {
    const which = event['detail-type'] === 'Object Deleted' ? 'deletion' : 'event';
    const number = told.get(photoId) ?? 0;
    told.set(photoId, number + 1);
    const { copies, delayMs, apartMs } = run.plan[which](`${photoId}/${number}`);
    const vanishes = which === 'event' && run.vanishes(photoId);
    const gone = vanishes ? deleteObject(scene, key) : undefined;
    if (vanishes) {
      run.struck(photoId, 'object deleted before its event arrives');
    }
    if (copies === 1 && delayMs === 0 && !vanishes) {
      publish(event);
      return;
    }
    if (copies !== 1 || delayMs > 0) {
      const how = copies === 0 ? 'lost' : `${copies} times, ${Math.round(delayMs)} ms late`;
      run.struck(photoId, `${which}: ${how}`);
    }
    for (let copy = 0; copy < copies; copy++) {
      held++;
      setTimeout(
        async () => {
          await gone;
          publish(event);
          held--;
        },
        delayMs + copy * copy * apartMs,
      );
    }
  }

  return {
    publish(event: BusEvent, publish: Publish): void {
      const detail = event.detail as Detail;
      if (event.source === 'aws.states') {
        publishStatus(event, detail, publish);
        return;
      }
      if (drops && event.source === 'aws.s3') {
        return;
      }
      const key = detail.object?.key ?? '';
      const photoId = scene.photoOf(key);
      if (!scene.run || photoId === undefined || event.source !== 'aws.s3') {
        publish(event);
        return;
      }
      publishOfPhoto(scene.run, photoId, event, key, publish);
    },
    dropUploads(drop: boolean) {
      drops = drop;
    },
    holdsEvents: () => held > 0,
  };
}

function deleteObject({ cloud }: Scene, key: string): Promise<unknown> {
  return cloud!.s3.send(new DeleteObjectCommand({ Bucket: cloud!.photoBucket, Key: key }));
}

/** Stops an execution that has just started, or lets its time be up, where the plan says so. */
function executionFaults(scene: Scene): (detail: Detail) => void {
  const struck = (run: Run, about: string, what: string, fault: ExecutionFault | undefined) => {
    if (fault) {
      run.struck(about, `${what}: ${fault.kind} after ${Math.round(fault.afterMs)} ms`);
    }
    return fault;
  };

  function faultOf(run: Run, executionArn: string, input: string): ExecutionFault | undefined {
    if (executionArn.startsWith(executionPrefix(scene.cloud!.outputs.EraseFacesStateMachineArn!))) {
      return struck(run, '*', 'erasure', run.plan.erasureExecution());
    }
    const parsed = v.safeParse(executionInputSchema, safeJson(input));
    const photoId = parsed.success ? scene.photoOf(parsed.output.object.key) : undefined;
    return photoId === undefined ? undefined : struck(run, photoId, 'execution', run.plan.execution(photoId));
  }

  return ({ status, executionArn, input = '' }) => {
    const { run } = scene;
    const fault = run && status === 'RUNNING' ? faultOf(run, executionArn!, input) : undefined;
    if (!fault) {
      return;
    }
    setTimeout(() => {
      if (fault.kind === 'aborted') {
        scene.cloud?.abortExecution(executionArn!);
      } else {
        scene.cloud?.timeOutExecution(executionArn!);
      }
    }, fault.afterMs);
  };
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
