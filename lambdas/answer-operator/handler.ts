import { parseRequest } from '../shared/contract/payloads.ts';
import { withDatabase } from '../shared/database/connection.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { answerOperator } from './answer-operator.ts';
import { questionSchema } from './questions.ts';

export const handler = lambdaHandler((request) =>
  answerOperator({ telemetry, withDatabase }, parseRequest(questionSchema, request)),
);
