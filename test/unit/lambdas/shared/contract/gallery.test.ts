import {
  DEFAULT_PHOTOS,
  galleryRoutes,
  MAX_PHOTOS,
  PHOTO_STATES,
  PHOTO_URL_SECONDS,
} from '../../../../../lambdas/shared/contract/gallery.ts';
import { openapi } from '../../../../support/openapi.ts';

/** What docs/openapi.json says to others. */
const limitOf = (path: string) =>
  openapi.paths[path]!.get!.parameters.find(({ name }) => name === 'limit')!.schema;

test('the routes and numbers are those that others were told', () => {
  expect(galleryRoutes).toEqual({
    event: '/events/{event}',
    photos: '/events/{event}/photos',
    changes: '/events/{event}/changes',
  });
  for (const path of [galleryRoutes.photos, galleryRoutes.changes]) {
    expect(limitOf(path)).toMatchObject({ maximum: MAX_PHOTOS, default: DEFAULT_PHOTOS });
  }
  expect(openapi.components.schemas.Status!.enum).toEqual([...PHOTO_STATES]);
  expect([MAX_PHOTOS, DEFAULT_PHOTOS, PHOTO_URL_SECONDS]).toEqual([100, 50, 300]);
});
