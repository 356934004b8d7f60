import { indexFacesPace } from '../../../../../lambdas/shared/line/pace.ts';

const variables = {
  INDEX_FACES_PER_SECOND: '12.5',
  READS_INDEX_FACES_QUOTA: 'true',
  DAILY_IMAGE_CAP: '200000',
};

function paceWith(changed: Partial<Record<keyof typeof variables, string>>) {
  const before = { ...process.env };
  Object.assign(process.env, variables, changed);
  try {
    return indexFacesPace();
  } finally {
    process.env = before;
  }
}

test('is what the deployment says', () => {
  expect(paceWith({})).toEqual({ perSecond: 12.5, readsQuota: true, dailyImageCap: 200_000 });
  expect(paceWith({ READS_INDEX_FACES_QUOTA: 'false' })).toMatchObject({ readsQuota: false });
});

test.each(Object.keys(variables))('without %s it is a mistake of the deployment', (name) => {
  expect(() => paceWith({ [name]: '' })).toThrow(
    expect.objectContaining({ name: 'MissingConfiguration', message: expect.stringContaining(name) }),
  );
});
