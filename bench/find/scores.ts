/** What is counted about searches in labelled photos. No I/O. */

export interface LabelledPhoto {
  person: string;
  file: string;
}

/** One other photo that a search found. */
export interface Outcome {
  /** Its place in the list of photos. */
  photo: number;
  /** 0 to 100 */
  similarity: number;
}

export interface Search {
  /** The photo that was searched with, by its place in the list. */
  photo: number;
  /** The most similar first; undefined where the photo could not be searched with. */
  outcomes: Outcome[] | undefined;
}

export interface Scores {
  similarity: number;
  /**
   * Of the first ten photos of each answer, the share that shows the person; the mean over answers that have any. Who has three
   * other photos can have three right ones at most, so that the answer's own length counts where it is shorter.
   */
  precisionAt10: number;
  /** Of a person's other photos, twenty at most, the share among the first twenty; the mean over searches. */
  recallAt20: number;
  /** Other people in an answer, the mean over searches. */
  wrongPeople: number;
}

/** Searches by people with one photo count for their wrong answers only: there is nothing to find. */
export function scoresAt(
  photos: readonly LabelledPhoto[],
  searches: readonly Search[],
  similarity: number,
): Scores {
  const precisions: number[] = [];
  const recalls: number[] = [];
  const wrong: number[] = [];
  for (const { photo, outcomes = [] } of searches) {
    const { person } = photos[photo]!;
    const people = outcomes
      .filter((outcome) => outcome.similarity >= similarity)
      .map((outcome) => photos[outcome.photo]!.person);
    const others = photos.filter((other) => other.person === person).length - 1;
    const rightOf = (first: number) => people.slice(0, first).filter((found) => found === person).length;
    if (people.length > 0) {
      precisions.push(rightOf(10) / Math.min(10, people.length));
    }
    if (others > 0) {
      recalls.push(rightOf(20) / Math.min(20, others));
    }
    wrong.push(new Set(people.filter((found) => found !== person)).size);
  }
  return {
    similarity,
    precisionAt10: mean(precisions),
    recallAt20: mean(recalls),
    wrongPeople: mean(wrong),
  };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function renderScores(
  photos: readonly LabelledPhoto[],
  searches: readonly Search[],
  scores: readonly Scores[],
): string {
  const people = new Set(photos.map(({ person }) => person)).size;
  const without = searches.filter(({ outcomes }) => outcomes === undefined);
  return [
    `${photos.length} photos of ${people} people; ${without.length} of them cannot be searched with.`,
    ...without.map(({ photo }) => `  ${photos[photo]!.file}`),
    '',
    '| similarity | precision at 10 | recall at 20 | wrong people per search |',
    '| --- | --- | --- | --- |',
    ...scores.map(
      ({ similarity, precisionAt10, recallAt20, wrongPeople }) =>
        `| ${similarity} | ${precisionAt10.toFixed(3)} | ${recallAt20.toFixed(3)} | ${wrongPeople.toFixed(3)} |`,
    ),
    '',
  ].join('\n');
}
