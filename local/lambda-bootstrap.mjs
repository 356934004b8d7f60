/**
 * One Lambda execution environment: loads the function's module and serves one invocation at a time over the IPC
 * channel, as Lambda's own client for Node.js does over its runtime API.
 * https://github.com/aws/aws-lambda-nodejs-runtime-interface-client/tree/main/src
 *
 * Plain JavaScript, because every cold start would pay for stripping types.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format, types } from 'node:util';

// Nothing but the parent ends an environment: it goes when the parent goes, however that ended, and a Ctrl-C at the
// terminal, which reaches the whole process group, leaves it alone.
process.on('disconnect', () => process.exit());
process.on('SIGINT', () => {});

let requestId;
/** When the invocation at hand began, by `performance.now()`, and the CPU time that the process had used by then. */
let startedMs;
let startedCpu;

for (const [method, level] of [
  ['log', 'INFO'],
  ['info', 'INFO'],
  ['debug', 'DEBUG'],
  ['trace', 'TRACE'],
  ['warn', 'WARN'],
  ['error', 'ERROR'],
]) {
  console[method] = (...values) => {
    const text = format(...values).replaceAll('\n', '\r');
    process.stdout.write(`${new Date().toISOString()}\t${requestId}\t${level}\t${text}\n`);
  };
}

/** Lambda's payload for whatever was thrown. */
function errorPayload(error) {
  try {
    const isError =
      types.isNativeError(error) ||
      [error?.name, error?.message, error?.stack].every((field) => field && typeof field === 'string');
    return isError
      ? { errorType: error.name, errorMessage: error.message, trace: error.stack.split('\n') }
      : { errorType: typeof error, errorMessage: error.toString(), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage:
        'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack',
    };
  }
}

function runtimeError(name, message) {
  return Object.assign(new Error(message), { name: `Runtime.${name}` });
}

function fail(error, exitCode) {
  const payload = errorPayload(error);
  console.error(`${requestId === undefined ? 'Init' : 'Invoke'} Error \t${JSON.stringify(payload)}`);
  const fatal = exitCode !== undefined;
  process.send({ error: JSON.stringify(payload), fatal, ...usage() }, () => {
    if (fatal) {
      process.exit(exitCode);
    }
  });
}

process.on('uncaughtException', (error) => fail(error, 129));
process.on('unhandledRejection', (reason) => fail(runtimeError('UnhandledPromiseRejection', reason), 128));

async function loadHandler() {
  const [, file, name] = /^(.*?)\.([^./]+)$/.exec(process.env._HANDLER) ?? [];
  if (!file) {
    throw runtimeError('MalformedHandlerName', 'Bad handler');
  }
  const path = ['.js', '.mjs', '.cjs']
    .map((extension) => resolve(process.env.LAMBDA_TASK_ROOT, `${file}${extension}`))
    .find((candidate) => existsSync(candidate));
  if (!path) {
    throw runtimeError('ImportModuleError', `Error: Cannot find module '${file}'`);
  }
  let module;
  try {
    module = await import(pathToFileURL(path).href);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw runtimeError('UserCodeSyntaxError', `SyntaxError: ${error.message}`);
    }
    if (error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND') {
      throw runtimeError('ImportModuleError', `Error: ${error.message}`);
    }
    throw error;
  }
  const handler = module[name] ?? module.default?.[name];
  if (typeof handler !== 'function') {
    throw runtimeError('HandlerNotFound', `${process.env._HANDLER} is undefined or not exported`);
  }
  return handler;
}

/** User and system time since then, or since the process was made. */
function cpuMs(since) {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1_000;
}

/** What Lambda reports of an invocation, and what it used of the CPU. */
function usage() {
  return {
    durationMs: startedMs === undefined ? 0 : performance.now() - startedMs,
    cpuMs: cpuMs(startedCpu),
    maxMemoryMegabytes: Math.round(process.resourceUsage().maxRSS / 1024),
  };
}

function serialise(result) {
  try {
    return JSON.stringify(result === undefined ? null : result);
  } catch {
    throw new Error('Unable to stringify response body');
  }
}

let handler;
try {
  handler = await loadHandler();
  // Since the process was made: Lambda's Init phase loads the runtime too.
  process.send({ ready: true, initMs: performance.now(), initCpuMs: cpuMs() });
} catch (error) {
  fail(error, 1);
}

process.on('message', async (invocation) => {
  requestId = invocation.requestId;
  startedMs = performance.now();
  startedCpu = process.cpuUsage();
  const context = {
    callbackWaitsForEmptyEventLoop: true,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    invokedFunctionArn: invocation.functionArn,
    awsRequestId: requestId,
    getRemainingTimeInMillis: () => invocation.deadlineMs - Date.now(),
  };
  try {
    const result = serialise(await handler(JSON.parse(invocation.payload), context));
    process.send({ result, ...usage() });
  } catch (error) {
    fail(error);
  }
});
