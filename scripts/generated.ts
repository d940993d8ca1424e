/**
 * Replaces the part of a page that is made from code: what stands between `<!-- name: … -->` and `<!-- /name -->`.
 *
 * @throws Error when the page has no such part
 */
export function replaceGenerated(page: string, name: string, content: string): string {
  const part = new RegExp(`(<!-- ${name}:[^>]*-->\n)[^]*?(<!-- /${name} -->)`);
  if (!part.test(page)) throw new Error(`The page has no part <!-- ${name}: … --> … <!-- /${name} -->.`);
  return page.replace(part, (_, start: string, end: string) => `${start}\n${content}\n${end}`);
}
