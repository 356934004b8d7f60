import { parseRequest } from '../shared/contract.ts';
import { withDatabase } from '../shared/database.ts';
import { lambdaHandler, telemetry } from '../shared/telemetry.ts';
import { answerOperator } from './answer-operator.ts';
import { questionSchema } from './questions.ts';

export const handler = lambdaHandler((request) =>
  answerOperator({ telemetry, withDatabase }, parseRequest(questionSchema, request)),
);
