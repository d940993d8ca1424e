/**
 * The route template of what fits none of these paths. Azure tries routes in the alphabetical order of the functions'
 * names, not from the most specific one to the least (azure-functions-host issue 9876): a plain `{*path}` could
 * swallow the whole API. This one leaves the paths of the API out by a constraint, so the order does not matter.
 *
 * @param paths of the API, with parameters in braces
 */
export function unmatchedRoute(paths: readonly string[]): string {
  const patterns = paths.map((path) =>
    path
      .split(/(\{[^}]+\})/)
      .map((part) => (part.startsWith('{') ? '[^/]+' : part.replace(/[.*+?^$()|[\]\\]/g, '\\$&')))
      .join(''),
  );
  // Braces, colons and equals signs mean something in a route template; the pattern does without them.
  return `{*path:regex(^(?!(${patterns.join('|')})/?$).*$)}`;
}
