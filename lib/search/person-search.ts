import { Duration } from 'aws-cdk-lib';
import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { environmentNames } from '../../lambdas/shared/contract/names.ts';
import type { RollcallConfig } from '../config/config.ts';
import { indexFacesRate } from '../config/index-faces-rate.ts';
import { DatabaseFunction } from '../database/database-function.ts';
import { DATABASE_CLIENT_TIMEOUT, type FaceDatabase } from '../database/face-database.ts';
import { allow, allowCollections } from '../parts/grants.ts';
import { PipelineFunction } from '../parts/pipeline-function.ts';
import { SearchLimitsTable } from '../storage/tables.ts';

interface PersonSearchProps {
  readonly config: RollcallConfig;
  /** This stack's, or another's in the same account and Region. */
  readonly slotLedger: ITable;
  readonly database: FaceDatabase;
}

/**
 * Finds the photos that show a person: one function that asks Rekognition, outside the database's network, and one inside that
 * tells which of the faces found are still shown.
 */
export class PersonSearch extends Construct {
  readonly findPerson: PipelineFunction;
  /** The function that reads and writes the schema. */
  readonly resolveFaces: PipelineFunction;

  constructor(scope: Construct, id: string, { config, slotLedger, database }: PersonSearchProps) {
    super(scope, id);
    const limits = new SearchLimitsTable(this, 'SearchLimits', { config });

    this.resolveFaces = new DatabaseFunction(this, 'ResolveFaces', {
      config,
      database,
      name: 'resolve-faces',
      description: 'Tells which faces of an event are shown, and records that somebody searched',
      timeout: DATABASE_CLIENT_TIMEOUT,
      environment: { [environmentNames.faceRetentionDays]: String(config.faceRetentionDays) },
    });

    this.findPerson = new PipelineFunction(this, 'FindPerson', {
      config,
      name: 'find-person',
      description: 'Finds the photos of an event that show the person of a picture',
      // A place in line, Rekognition, and a database that wakes.
      timeout: Duration.minutes(2),
      environment: {
        [environmentNames.ledgerTable]: slotLedger.tableName,
        [environmentNames.searchLimitsTable]: limits.tableName,
        [environmentNames.searchFacesPerSecond]: indexFacesRate(this, config.searchFacesPerSecond),
        [environmentNames.dailySearchCap]: String(config.dailySearchCap),
        [environmentNames.searchesPerEventHour]: String(config.searchesPerEventHour),
        [environmentNames.searchesPerCallerHour]: String(config.searchesPerCallerHour),
        [environmentNames.collectionPrefix]: config.collectionPrefix,
        [environmentNames.resolveFacesFunction]: this.resolveFaces.functionArn,
      },
    });
    allowCollections(this.findPerson, config, ['rekognition:SearchFaces', 'rekognition:SearchFacesByImage']);
    allow(this.findPerson, ['lambda:InvokeFunction'], this.resolveFaces.functionArn);
    allow(this.findPerson, ['dynamodb:GetItem', 'dynamodb:UpdateItem'], limits.tableArn);
    this.findPerson.addToRolePolicy(
      new PolicyStatement({
        actions: ['dynamodb:GetItem', 'dynamodb:UpdateItem'],
        resources: [slotLedger.tableArn],
        // Not the pace of IndexFaces, which is in the same table.
        conditions: { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': ['search-faces'] } },
      }),
    );
  }
}
