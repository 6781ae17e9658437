/** A number with its noun: "1 file", "3 files", "0.5 minutes". `many`: where an s is not enough. */
export function count(items: number, noun: string, many = `${noun}s`): string {
  return `${items} ${items === 1 ? noun : many}`;
}
