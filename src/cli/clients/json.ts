import {
  applyEdits,
  type FormattingOptions,
  getNodeValue,
  type JSONPath,
  modify,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser';
import {
  checkEdited,
  type Edit,
  entryIn,
  RefusedEdit,
  type Settings,
  settingsSchema,
  wantedEntry,
} from './entry.ts';

const BYTE_ORDER_MARK = '\ufeff';

/**
 * The text of a JSON settings file with our entry added, updated or removed; comments and layout stay. An empty text
 * counts as an empty object. Throws RefusedEdit for what the client itself could not read, or would read differently.
 */
export function editJson(text: string, edit: Edit, comments: boolean): string {
  const plain = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  const source = plain.trim() === '' ? '{}\n' : plain;
  const before = read(source, comments);
  refuseDuplicates(source, edit);
  const wanted = wantedEntry(before, edit);
  const edited = write(source, before, edit, wanted);
  checkEdited(before, read(edited, comments), edit);
  return edited;
}

/** The settings as the owning client understands them. */
export function readJson(text: string, comments: boolean): Settings {
  const plain = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  return read(plain.trim() === '' ? '{}' : plain, comments);
}

function read(text: string, comments: boolean): Settings {
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, {
    disallowComments: !comments,
    allowTrailingComma: comments,
  });
  // Without prototypes, so that a key called __proto__ is a key like any other.
  const value: unknown = root === undefined ? undefined : getNodeValue(root);
  const [first] = errors;
  if (first !== undefined)
    throw new RefusedEdit(
      `It is not valid JSON: ${printParseErrorCode(first.error)} in line ${lineOf(text, first.offset)}.`,
    );
  const parsed = settingsSchema.safeParse(value);
  if (!parsed.success) throw new RefusedEdit('It does not hold a JSON object.');
  return parsed.data;
}

/** Editors change the first of two equal keys, parsers read the last. */
function refuseDuplicates(text: string, edit: Edit): void {
  const root = parseTree(text, [], { allowTrailingComma: true });
  const containers = valuesAt(root, edit.container);
  const entries = containers.flatMap((container) => valuesAt(container, edit.name));
  if (containers.length > 1) throw new RefusedEdit(`"${edit.container}" stands there twice.`);
  if (entries.length > 1) throw new RefusedEdit(`"${edit.name}" stands there twice.`);
}

function valuesAt(node: Node | undefined, key: string): readonly Node[] {
  if (node?.type !== 'object') return [];
  return (node.children ?? []).flatMap(({ children }) => {
    const [name, value] = children ?? [];
    return name?.value === key && value !== undefined ? [value] : [];
  });
}

function write(text: string, before: Settings, edit: Edit, wanted: Settings | undefined): string {
  const present = entryIn(before, edit);
  if (wanted === undefined) return present === undefined ? text : withoutEntry(text, before, edit);
  if (present === undefined) return set(text, [edit.container, edit.name], wanted);
  return Object.entries(wanted)
    .filter(([key, value]) => JSON.stringify(present[key]) !== JSON.stringify(value))
    .reduce((edited, [key, value]) => set(edited, [edit.container, edit.name, key], value), text);
}

/** An object that would be left empty goes with the entry. */
function withoutEntry(text: string, before: Settings, edit: Edit): string {
  const others = Object.keys(settingsSchema.catch({}).parse(before[edit.container]));
  return set(text, others.length === 1 ? [edit.container] : [edit.container, edit.name], undefined);
}

function set(text: string, at: JSONPath, value: unknown): string {
  return applyEdits(text, modify(text, at, value, { formattingOptions: layoutOf(text) }));
}

function layoutOf(text: string): FormattingOptions {
  const indent = /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';
  return {
    insertSpaces: !indent.includes('\t'),
    tabSize: indent.includes('\t') ? 1 : indent.length,
    eol: text.includes('\r\n') ? '\r\n' : '\n',
  };
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}
