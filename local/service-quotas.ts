import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { rekognitionQuotas } from '../lambdas/shared/contract/names.ts';
import { listenOnLoopback } from './loopback.ts';
import { defaultQuotas } from './rekognition/quota.ts';
import { ACCOUNT, REGION } from './template.ts';

export interface ServiceQuotas {
  endpoint: string;
  stop(): Promise<void>;
}

/**
 * GetServiceQuota for IndexFaces, as Service Quotas answers it:
 * https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
 *
 * @param perSecond what the account has been given, at each question; the Region's default where it is undefined. What the
 *   local Rekognition really enforces is a matter of its own, as on AWS.
 */
export async function startServiceQuotas(perSecond: () => number | undefined): Promise<ServiceQuotas> {
  const server = createServer(async (request, response) => {
    const { ServiceCode: service, QuotaCode: code } = JSON.parse((await text(request)) || '{}') as {
      ServiceCode?: string;
      QuotaCode?: string;
    };
    const isKnown =
      String(request.headers['x-amz-target']).endsWith('.GetServiceQuota') &&
      service === rekognitionQuotas.serviceCode &&
      code === rekognitionQuotas.indexFaces;
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    if (!isKnown) {
      const type = 'NoSuchResourceException';
      response.writeHead(400, { 'x-amzn-errortype': type });
      response.end(
        JSON.stringify({ __type: type, Message: `The local run knows no quota ${service}/${code}` }),
      );
      return;
    }
    const Quota = {
      ServiceCode: service,
      QuotaArn: `arn:aws:servicequotas:${REGION}:${ACCOUNT}:${service}/${code}`,
      QuotaCode: code,
      QuotaName: 'Transactions per second per account for the Amazon Rekognition Image operation IndexFaces',
      Value: perSecond() ?? defaultQuotas(REGION).IndexFaces,
      Unit: 'None',
      Adjustable: true,
      GlobalQuota: false,
    };
    response.end(JSON.stringify({ Quota }));
  });
  return listenOnLoopback(server);
}
