import ts from 'typescript';

const CITATION = /\[((?:[A-Z]{1,2}-\d{2,3}|U\d{1,2})(?:[,\s]+(?:[A-Z]{1,2}-\d{2,3}|U\d{1,2}))*)\]/g;
const RUNS = new Set(['it', 'test', 'describe']);
/** A test that does not run proves nothing. */
const OFF = new Set(['skip', 'todo', 'fails']);

/**
 * The ids that the titles of one test file cite: `it('reads whole characters [SE-10, SE-11]', …)`, also in `describe`,
 * `.each` tables and template titles. Comments, other strings and tests that are switched off do not count.
 */
export function citedIds(source: string): readonly string[] {
  const file = ts.createSourceFile('x.test.ts', source, ts.ScriptTarget.Latest, false);
  const found = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const names = calleeNames(node.expression);
      if (names[0] !== undefined && RUNS.has(names[0])) {
        if (names.some((name) => OFF.has(name))) return;
        for (const id of idsIn(titleOf(node.arguments[0]))) found.add(id);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return [...found];
}

/** `it.each(rows)` -> ['it', 'each']; anything that does not start with a plain name -> []. */
function calleeNames(node: ts.Expression): readonly string[] {
  if (ts.isIdentifier(node)) return [node.text];
  if (ts.isPropertyAccessExpression(node)) {
    const before = calleeNames(node.expression);
    return before.length === 0 ? [] : [...before, node.name.text];
  }
  if (ts.isCallExpression(node)) return calleeNames(node.expression);
  if (ts.isTaggedTemplateExpression(node)) return calleeNames(node.tag);
  return [];
}

function titleOf(node: ts.Expression | undefined): string {
  if (node === undefined) return '';
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node))
    return [node.head.text, ...node.templateSpans.map((span) => span.literal.text)].join('…');
  return '';
}

function idsIn(title: string): readonly string[] {
  return [...title.matchAll(CITATION)].flatMap(([, list = '']) => list.split(/[,\s]+/));
}
