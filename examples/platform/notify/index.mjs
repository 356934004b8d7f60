/**
 * Told of each photo that has ended. The event is Step Functions' own; `photoEnd` of the package reads it where it is bundled, and this
 * is how to read it without.
 */
export async function handler({ detail }) {
  const { object } = JSON.parse(detail.input);
  if (detail.status !== 'SUCCEEDED') {
    console.log(JSON.stringify({ key: object.key, failed: detail.error ?? detail.status }));
    return;
  }
  const { outcome } = JSON.parse(detail.output);
  console.log(JSON.stringify({ key: object.key, photo: outcome.photo_id, faces: outcome.face_count }));
}
