# Takes, or gives back, the right to change this host; the file is gone after a boot.
# Set before: file token line replace (the token of a lock whose owner is dead) release
umask 077
# Two runs may find the same dead owner: only one of them takes the lock over.
if command -v flock >/dev/null 2>&1; then exec 8<"${file%/*}" && flock 8; fi
if [ -n "$release" ]; then
  case $(cat "$file" 2>/dev/null) in "$token "*) rm -f "$file" ;; esac
  exit 0
fi
if [ -n "$replace" ]; then
  case $(cat "$file" 2>/dev/null) in "$replace "*) rm -f "$file" ;; esac
fi
if (set -C; printf '%s\n' "$token $line" >"$file") 2>/dev/null; then echo taken; else echo "held $(cat "$file" 2>/dev/null)"; fi
