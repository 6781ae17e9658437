/**
 * A part of the boot script: sessions do not see the variables of the container (vast.md 14), so those that were asked for are
 * written where every login reads them. The values are those of the container; the script holds names only. A value of several
 * lines fits no such file. Empty for no names.
 */
export function environmentScript(names: readonly string[]): string {
  if (names.length === 0) return '';
  return `(
umask 077
{ grep -Ev '^(export )?(${names.join('|')})=' /etc/environment
for gl_name in ${names.join(' ')}; do
eval "gl_value=\\\${$gl_name-}"
case $gl_value in
'' | *'
'*) continue ;;
*\\'*) gl_quote='"' ;;
*) gl_quote=\\' ;;
esac
printf '%s=%s%s%s\\n' "$gl_name" "$gl_quote" "$gl_value" "$gl_quote"
done; } > /etc/environment.gl-lease
mv -f /etc/environment.gl-lease /etc/environment
) < /dev/null > /dev/null 2>&1
`;
}
