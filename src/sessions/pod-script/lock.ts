/*
 * One writer of a session at a time. Defines \`lock\`, which sets \`say\` and fails where it gets no lock within some 9 s, and
 * \`unlock\`. The lock is a file that only one can make, which takes no process; in it stand the owner's pid and time of birth.
 * Only who reads its own name back has it. One whose owner is dead, or that stays without a name for 2 s, is taken away:
 * by one at a time where flock is there; else renaming is won by one, and a lock that was made anew in between is put back.
 */
export const LOCK = `me= locked=
born_of() {
  l=; { IFS= read -r l < "/proc/$1/stat"; } 2>/dev/null
  set -- \${l##*) }
  case \${1:-Z} in Z|X) birth=;; *) birth=\${20:-};; esac
}
is_dead() {
  [ -r /proc/self/stat ] || { kill -0 "\${owner%% *}" 2>/dev/null && return 1; return 0; }
  born_of "\${owner%% *}"
  [ "$birth" != "\${owner#* }" ]
}
steal() {
  if command -v flock >/dev/null 2>&1; then
    (
      exec 9>>"$d/lock.s" && flock -w 5 9 || exit
      q=; { read -r q < "$d/lock"; } 2>/dev/null
      [ "$q" = "$owner" ] && rm -f "$d/lock"
    )
  elif mv "$d/lock" "$d/lock.$$" 2>/dev/null; then
    q=; { read -r q < "$d/lock.$$"; } 2>/dev/null
    [ "$q" = "$owner" ] || ln "$d/lock.$$" "$d/lock" 2>/dev/null
    rm -f "$d/lock.$$"
  fi
}
lock() {
  [ -n "$me" ] || { born_of $$; me="$$ \${birth:--}"; }
  rounds=0 nameless=0
  while :; do
    set -C; { echo "$me" > "$d/lock"; } 2>/dev/null; set +C
    owner=; { read -r owner < "$d/lock"; } 2>/dev/null
    [ "$owner" = "$me" ] && { locked=1; return 0; }
    [ -d "$d" ] || { say=gone; return 1; }
    if [ -z "$owner" ]; then
      nameless=$((nameless+1))
      # A full disk takes no name.
      [ $nameless = 2 ] && { printf '%4096s' x | cat > "$d/lock.n" || { rm -f "$d/lock.n"; say=; return 1; }; rm -f "$d/lock.n"; }
      [ $nameless -ge 40 ] && { steal; nameless=0; }
    else
      nameless=0
      is_dead && steal && continue
    fi
    rounds=$((rounds+1))
    [ $rounds -gt 180 ] && { say=locked; return 1; }
    sleep 0.05 2>/dev/null || { sleep 1; nameless=$((nameless+19)) rounds=$((rounds+19)); }
  done
}
unlock() {
  [ -z "$locked" ] || rm -f "$d/lock"
  locked=
}
`;
