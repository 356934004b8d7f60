/** Asks for page after page, each with the cursor that the one before it gave, until one gives none. */
export async function allPages<Page extends { cursor: string | null }>(
  ask: (from: { cursor?: string }) => Promise<Page>,
): Promise<[Page, ...Page[]]> {
  const pages: [Page, ...Page[]] = [await ask({})];
  for (let { cursor } = pages[0]; cursor !== null; ) {
    const page = await ask({ cursor });
    pages.push(page);
    ({ cursor } = page);
  }
  return pages;
}
