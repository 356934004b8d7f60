import fc from 'fast-check';
import { decodeFeed, decodePage, encodeFeed, encodePage } from '../../../lambdas/read-gallery/cursor.ts';
import { ProblemError } from '../../../lambdas/shared/http/problems.ts';

const PHOTO = '9d2c4f60-71d4-4f5e-8a39-000000000001';
const page = { createdUs: '1777636800000000', photoId: PHOTO };
const feed = { epoch: '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77', xid: '1234567890123456789', photoId: PHOTO };

const cursor = (...parts: string[]) => Buffer.from(parts.join('.')).toString('base64url');
function refused(decode: (text: string) => unknown, text: string): string | undefined {
  try {
    decode(text);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(ProblemError);
    return (error as ProblemError).problem.status === 400
      ? (error as ProblemError).problem.detail
      : undefined;
  }
}

test('a cursor is the place that it was made of', () => {
  expect([decodePage(encodePage(page)), decodeFeed(encodeFeed(feed))]).toEqual([page, feed]);
  expect([encodePage(page), encodeFeed(feed)]).toEqual([
    cursor('p', page.createdUs, PHOTO),
    cursor('c', feed.epoch, feed.xid, PHOTO),
  ]);
});

test('of another route, or of nothing, it is refused with what to do', () => {
  const said = refused(decodePage, encodeFeed(feed));
  expect(said).toMatch(
    /is not a cursor of this route: give back what an answer's "next" said, or leave it out$/,
  );
  expect(refused(decodeFeed, encodePage(page))).toBeDefined();
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect([refused(decodePage, text), refused(decodeFeed, text)]).not.toContain(undefined);
    }),
  );
});

test.each([
  [
    'another number of parts',
    [
      ['p', '1'],
      ['p', '1', PHOTO, PHOTO],
    ],
    [
      ['c', feed.epoch, '1'],
      ['c', feed.epoch, '1', PHOTO, ''],
    ],
  ],
  ['another letter', [['c', '1', PHOTO]], [['p', feed.epoch, '1', PHOTO]]],
  [
    'a time or a transaction that is not a number',
    [
      ['p', '1x', PHOTO],
      ['p', 'x1', PHOTO],
      ['p', '', PHOTO],
    ],
    [
      ['c', feed.epoch, '1x', PHOTO],
      ['c', feed.epoch, 'x1', PHOTO],
      ['c', feed.epoch, '', PHOTO],
    ],
  ],
  ['one that is too long', [['p', '1'.repeat(17), PHOTO]], [['c', feed.epoch, '1'.repeat(20), PHOTO]]],
  [
    'no id',
    [['p', '1', 'photo']],
    [
      ['c', 'epoch', '1', PHOTO],
      ['c', feed.epoch, '1', 'photo'],
    ],
  ],
])('with %s it is refused', (_, pages, feeds) => {
  for (const parts of pages) {
    expect([parts, refused(decodePage, cursor(...parts))]).not.toContain(undefined);
  }
  for (const parts of feeds) {
    expect([parts, refused(decodeFeed, cursor(...parts))]).not.toContain(undefined);
  }
});

test('what decoding would skip is not part of one', () => {
  expect(refused(decodePage, `${encodePage(page)}!`)).toBeDefined();
  expect(refused(decodePage, `${encodePage(page)}=`)).toBeDefined();
  expect(decodePage(encodePage({ ...page, createdUs: '1'.repeat(16) }))).toMatchObject({ photoId: PHOTO });
});
