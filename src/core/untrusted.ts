/* Foreign text is data: what a machine or a provider printed, made safe to show. Linear time, any input. */

const ESCAPES =
  /\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?|[P^_X][^\x1b]*(?:\x1b\\)?|\[[0-?]*[ -/]*[@-~]?|[ -/]*[0-~]?)/g;
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** Drops escape sequences, control and bidi characters; a carriage return keeps what was written last on the line. */
export function cleanTerminalText(text: string): string {
  const plain = text.replace(ESCAPES, '').replace(/(?<!\r)\r+\n/g, '\n');
  return plain
    .split('\n')
    .map((line) => lastOverwrite(line).replace(CONTROLS, ''))
    .join('\n');
}

function lastOverwrite(line: string): string {
  if (!line.includes('\r')) return line;
  const parts = line.split('\r');
  for (let index = parts.length - 1; index >= 0; index -= 1) {
    const part = parts[index];
    if (part !== undefined && part !== '') return part;
  }
  return '';
}

/** A short, single-purpose quotation of foreign text for `foreignText` fields. */
export function quoteForeign(text: string, maxChars = 2000): string {
  const clean = cleanTerminalText(text).trim();
  return clean.length <= maxChars
    ? clean
    : `${clean.slice(0, maxChars)}… [${clean.length - maxChars} more characters]`;
}
