import { type LabelledPhoto, type Search, scoresAt } from '../../bench/find/scores.ts';

const photos: LabelledPhoto[] = ['anna', 'anna', 'anna', 'ben', 'ben', 'carl'].map((person, i) => ({
  person,
  file: `${person}/${i}.jpg`,
}));
const search = (photo: number, ...outcomes: [photo: number, similarity: number][]): Search => ({
  photo,
  outcomes: outcomes.map(([found, similarity]) => ({ photo: found, similarity })),
});

test('precision over answers, recall over searches, and wrong people over all', () => {
  const searches = [
    // Both others, and one wrong one.
    search(0, [1, 99], [2, 95], [3, 85]),
    // One of two.
    search(1, [0, 99]),
    // Could not be searched with.
    { photo: 2, outcomes: undefined },
    search(3, [4, 90]),
    search(4, [3, 90], [5, 82], [0, 81]),
    // Nobody else is this person: only what is wrong counts.
    search(5, [4, 82]),
  ];
  const { precisionAt10, recallAt20, wrongPeople } = scoresAt(photos, searches, 80);
  expect(precisionAt10).toBeCloseTo((2 / 3 + 1 + 1 + 1 / 3 + 0) / 5);
  expect(recallAt20).toBeCloseTo((1 + 1 / 2 + 0 + 1 + 1) / 5);
  expect(wrongPeople).toBeCloseTo((1 + 0 + 0 + 0 + 2 + 1) / 6);
  expect(scoresAt(photos, searches, 90)).toEqual({
    similarity: 90,
    precisionAt10: 1,
    recallAt20: expect.closeTo((1 + 1 / 2 + 0 + 1 + 1) / 5),
    wrongPeople: 0,
  });
});

test('of an answer that is longer, the first ten and twenty count', () => {
  const many: LabelledPhoto[] = Array.from({ length: 31 }, (_, i) => ({
    person: i < 26 ? 'anna' : 'ben',
    file: `${i}`,
  }));
  const answer = [
    ...Array.from({ length: 9 }, (_, i) => i + 1),
    26,
    ...Array.from({ length: 16 }, (_, i) => i + 10),
  ];
  const searches = [search(0, ...answer.map((photo, i): [number, number] => [photo, 100 - i / 10]))];
  const { precisionAt10, recallAt20 } = scoresAt(many, searches, 80);
  expect([precisionAt10, recallAt20]).toEqual([0.9, 19 / 20]);
});
