/**
 * Changes after which everything is as it was for everyone: no test can notice, and none has to. Each has its reason; a test
 * holds that each still is one of the changes that are tried.
 */

interface Equivalent {
  file: string;
  /** The line of code that is changed, and the change, as `npm run mutants` prints it. */
  line?: string;
  change: string;
  because: string;
}

/** Each with the line of code, the change and the reason. */
function inFile(
  file: string,
  changes: readonly (readonly [line: string, change: string, because: string])[],
): Equivalent[] {
  return changes.map(([line, change, because]) => ({ file, line, change, because }));
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: it is a line of code.
const ONLY_CHANGED = "const only = scope === 'changed' ? sql`id IN (${ids(sql, looked)})` : sql`true`;";

export const equivalents: Equivalent[] = [
  {
    file: 'lambdas/shared/rekognition/pace.ts',
    line: 'let nextMs = 0;',
    change: '0 -> 1',
    because: 'Both are long ago: the first call is at now.',
  },
  ...['mine > now() -> true', '> -> >='].map((change) => ({
    file: 'lambdas/shared/rekognition/pace.ts',
    line: 'if (mine > now()) {',
    change,
    because: 'Sleeping for no time is not sleeping.',
  })),
  {
    file: 'lambdas/shared/storage/head-object.ts',
    line: 'await body?.transformToByteArray();',
    change: 'await body?.transformToByteArray(); -> ;',
    because: 'Reads the byte so that the connection can be used again: nothing that is returned tells it.',
  },
  {
    file: 'lambdas/shared/storage/head-object.ts',
    line: 'await body?.transformToByteArray();',
    change: '?. -> .',
    because: 'Without a body it throws, without a status: that is not a reason either.',
  },
  ...inFile('lambdas/read-rows/read-rows.ts', [
    [ONLY_CHANGED, "scope === 'changed' -> false", 'What has not changed is read, and left out by the plan.'],
    [ONLY_CHANGED, "'changed' -> ''", 'The same.'],
    ["if (scope === 'changed') {", "scope === 'changed' -> true", 'All that are known are known already.'],
    [
      'if (page.length < ROWS_A_PAGE || !last) {',
      '|| -> &&',
      'One more page is read, which is empty: then there is no last row.',
    ],
  ]),
  ...inFile('lambdas/shared/photos/misplaced-uploads.ts', [
    [
      'return Buffer.byteLength(text) <= MAX_KEY_BYTES',
      '<= -> <',
      'Cut to its own length, a key stays as it is.',
    ],
    [
      'const [{ total } = { total: 0 }] = await sql<{ total: number }[]>`',
      '0 -> 1',
      'A count always has a row.',
    ],
  ]),
  ...[
    ['if (before) {', 'before -> false'],
    ['read.set(state, blocks);', 'read.set(state, blocks); -> ;'],
    ['const KNOWN_AT_MOST = 4_096;', '4_096 -> 8192'],
    ['if (!known.has(name)) {', '!known.has(name) -> true'],
    ...[
      'known.size >= KNOWN_AT_MOST -> true',
      'known.size >= KNOWN_AT_MOST -> false',
      '>= -> >',
      '>= -> <',
    ].map((change) => ['if (known.size >= KNOWN_AT_MOST) {', change]),
    ['known.clear();', 'known.clear(); -> ;'],
  ].map(([line, change]) => ({
    file: 'lambdas/shared/line/turns.ts',
    line: line!,
    change: change!,
    because: 'What is read once more is read alike: it takes longer, or more memory.',
  })),
  {
    file: 'lambdas/shared/line/turns.ts',
    line: 'const rounds = name.charCodeAt(0) === T ? roundsOf(name) : undefined;',
    change: 'name.charCodeAt(0) === T -> true',
    because: 'The pattern says the same of any name, and takes longer.',
  },
  {
    file: 'lambdas/shared/line/turns.ts',
    line: 'if (rounds > 0) {',
    change: '> -> >=',
    because: 'No rounds have no photos.',
  },
  ...inFile('lambdas/shared/line/fairness.ts', [
    [
      'const GOLDEN = (Math.sqrt(5) - 1) / 2;',
      '- -> +',
      'A whole one more: only what is behind the point is used.',
    ],
    [
      'const ms = nowMs + ((photos * GOLDEN) % 1) * soonMs;',
      '* -> /',
      'The golden ratio and its inverse are the same behind the point.',
    ],
    [
      'const { start, photos = 0, planned_ms = 0 } = event;',
      '0 -> 1',
      'A plan that ended at either moment is long over; with a start there are photos.',
    ],
    ['{ planned_ms = 0 }: EventTurns,', '0 -> 1', 'A plan that ended at either moment is long over.'],
    [
      'planned_ms > nowMs && planned_ms >= soonestMs ? planned_ms : Math.max(soonestMs, nowMs + spacingMs);',
      '>= -> >',
      'Where the plan ends at the soonest moment both are this moment.',
    ],
  ]),
  ...[
    "if (!('refused' in nextPlace(seen, config, { nowMs, lane: 'live' }))) {",
    "const decision = nextPlace(state, config, { nowMs, lane: 'live' });",
  ].map((line) => ({
    file: 'lambdas/shared/line/joining.ts',
    line,
    change: "'live' -> ''",
    because: 'Only backfill is refused more than others, and it is asked only whether it is refused.',
  })),
  ...inFile('lambdas/find-person/limits.ts', [
    [
      'if (used > full) {',
      '> -> >=',
      'An hour that is used up to its last share takes the first write, and does not come here.',
    ],
    [
      "premises: [{ attribute: 'used_until_ms', below: nowMs + 1 }],",
      '1 -> 2',
      'What ends in a millisecond takes the first write, and does not come here.',
    ],
    [
      'return number === undefined ? undefined : Number(number);',
      'number === undefined -> false',
      'What is not there is not a number, which is neither above nor within anything.',
    ],
  ]),
  ...inFile('lambdas/find-person/matches.ts', [
    [
      'return b.similarity - a.similarity || (a.photo_id < b.photo_id ? -1 : 1);',
      '1 -> 2',
      'Only the sign of an order counts.',
    ],
    [
      'const rest = after ? photos.filter((photo) => inOrder(after, photo) < 0) : photos;',
      '< -> <=',
      'No two are in one place: each photo is there once, and comes after itself.',
    ],
    [
      '? [{ face_id: faceId, similarity, box: faceBoxOf(match.Face?.BoundingBox) }]',
      '?. -> .',
      'What has an id is there.',
    ],
  ]),
  ...inFile('lambdas/shared/line/time-left.ts', [
    [
      'const lineMs = Math.max(0, state.line_ms ?? 0, state.next_ms ?? 0) - nowMs + AT_WORK_MS;',
      '0 -> 1',
      'Either is a moment of long ago.',
    ],
    [
      'const inLine = (Math.max(0, lineMs) / 1_000) * perSecond;',
      '0 -> 1',
      'A millisecond of the line is less than a photo.',
    ],
  ]),
  ...inFile('lambdas/mend-disagreements/mend-disagreements.ts', [
    [
      "facesBefore: before.map((id) => ({ id, photo_id: '', rekognition_face_id: null })),",
      "'' -> 'mutant'",
      'Only their ids are asked for.',
    ],
    ...(['inVain.length > 0 -> true', '> -> >='] as const).map(
      (change) =>
        [
          'if (inVain.length > 0) {',
          change,
          'Where nothing was in vain, what is there is written again.',
        ] as const,
    ),
    ...(['ListObjectsV2', 'DeleteObjects'] as const).map(
      (operation) =>
        [
          `throw s3Error(error, { operation: '${operation}', bucket: resultsBucket }, 'MissingConfiguration');`,
          "'MissingConfiguration' -> ''",
          'Only of a read it is asked what it means that something is not there.',
        ] as const,
    ),
  ]),
  {
    file: 'lambdas/shared/storage/list-pages.ts',
    line: "throw s3Error(error, { operation: 'ListObjectsV2', bucket: listing.Bucket }, 'MissingConfiguration');",
    change: "'MissingConfiguration' -> ''",
    because: 'Only of a read it is asked what it means that something is not there.',
  },
  {
    file: 'lambdas/shared/storage/json-objects.ts',
    line: "throw s3Error(error, { operation: 'PutObject', bucket, key }, 'MissingConfiguration');",
    change: "'MissingConfiguration' -> ''",
    because: 'Only of a read it is asked what it means that something is not there.',
  },
  ...inFile('lambdas/read-gallery/photo-url.ts', [
    [
      "const request: Partial<SignedRequest> = { method: 'GET', path, query: {}, headers: { host } };",
      "'GET' -> ''",
      'A request without a method is a GET to the signer.',
    ],
    ["const NO_PHOTO = 'none';", "'none' -> ''", 'Only the folder around it is used.'],
  ]),
  {
    file: 'lambdas/shared/contract/selfie.ts',
    line: '0,',
    change: '0 -> 1',
    because: 'A picture whose first character is skipped does not begin like one.',
  },
  {
    file: 'lambdas/find-person/find-person.ts',
    line: ": searchedWith('face_id', resolved.searched?.box ?? null),",
    change: '?. -> .',
    because: 'A face that is not there has ended the search.',
  },
  ...[
    "base64.endsWith('==') -> true",
    "base64.endsWith('==') -> false",
    'endsWith -> startsWith',
    "'==' -> ''",
    "base64.endsWith('=') -> true",
    "base64.endsWith('=') -> false",
    "'=' -> ''",
    '0 -> 1',
    '1 -> 2',
  ].map((change) => ({
    file: 'lambdas/find-person/http.ts',
    line: "return base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;",
    change,
    because:
      'The most bytes of a selfie are a multiple of three: what is padded is within them, or far from them.',
  })),
  {
    file: 'lambdas/find-person/http.ts',
    line: 'const bytes = isBase64Encoded ? Math.floor((body.length * 3) / 4) - padding(body) : Buffer.byteLength(body);',
    change: 'floor -> ceil',
    because: 'Base64 with its padding is a multiple of four characters.',
  },
  {
    file: 'lambdas/shared/line/photographers.ts',
    line: "return id.startsWith(eventItem('')) ? [{ attribute: 'photographer', is: undefined }] : [];",
    change: "id.startsWith(eventItem('')) -> true",
    because: 'A photographer’s item names no photographer.',
  },
  ...[
    [
      'lambdas/confirm-erasure/confirm-erasure.ts',
      "await lockEvent(transaction, batch.event_id, 'exclusive');",
    ],
    ['lambdas/request-erasure/request-erasure.ts', "await lockEvent(transaction, eventId, 'exclusive');"],
    ['lambdas/request-erasure/request-erasure.ts', "await lockEvent(transaction, id, 'exclusive');"],
  ].map(([file, line]) => ({
    file: file!,
    line: line!,
    change: "'exclusive' -> ''",
    because: 'A lock that is not shared is exclusive.',
  })),
  ...inFile('lambdas/confirm-erasure/confirm-erasure.ts', [
    ['if (batch.kept.length > 0) {', 'batch.kept.length > 0 -> true', 'Nothing is found of no faces.'],
    ['if (batch.kept.length > 0) {', '> -> >=', 'The same.'],
  ]),
  ...inFile('lambdas/request-erasure/request-erasure.ts', [
    [
      "return still ? eraseEvent(transaction, id, 'event_expired', executionArn) : none('none');",
      "'none' -> ''",
      'Only what is requested is counted.',
    ],
  ]),
  ...inFile('lambdas/shared/photos/rows.ts', [
    ['if (named.length > 0) {', 'named.length > 0 -> true', 'Nothing is locked of no ids.'],
    ['if (named.length > 0) {', '> -> >=', 'The same.'],
  ]),
  ...inFile('lambdas/persist-results/persist-results.ts', [
    ['if (same) {', 'same -> true', 'What is not there is taken out of nothing.'],
  ]),
  ...inFile('migrations/0001_initial.sql', [
    [
      'reason              text NOT NULL,',
      'NOT NULL -> nothing',
      'The third migration takes the column out of the table.',
    ],
    ...['NOT NULL -> nothing', 'DEFAULT now() -> nothing'].map(
      (change) => ['requested_at        timestamptz NOT NULL DEFAULT now(),', change, 'The same.'] as const,
    ),
  ]),
];

export function equivalentOf(file: string, change: string, line?: string): Equivalent | undefined {
  return equivalents.find((one) => one.file === file && one.change === change && one.line === line);
}
