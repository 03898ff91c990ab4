# Takes, or gives back, the right to change this host; the file is gone after a boot.
# Set before: file token line replace (the token of a lock whose owner is dead; ? for one that cannot be read) release
umask 077
room() { df -Pk "$1" | awk 'NR == 2 { print $4 }'; }
mkdir -p "${file%/*}" 2>/dev/null || { echo "unmade ${file%/*}, in a folder that has $(room "$(dirname "${file%/*}")") KB of room"; exit 0; }
# Two runs may find the same dead owner: only one of them takes the lock over. Nobody else can enter this folder, and none
# of ours holds it for more than a moment.
if command -v flock >/dev/null 2>&1; then
  exec 8<"${file%/*}"
  waited=0
  until flock -n 8; do
    if [ "$waited" -ge 20 ]; then
      echo "held $(cat "$file" 2>/dev/null)"
      exit 0
    fi
    sleep 1
    waited=$((waited + 1))
  done
fi
if [ -n "$release" ]; then
  case $(cat "$file" 2>/dev/null) in "$token "*) rm -f "$file" ;; esac
  exit 0
fi
case $replace in
  '') ;;
  '?') rm -f "$file" ;;
  *) case $(cat "$file" 2>/dev/null) in "$replace "*) rm -f "$file" ;; esac ;;
esac
# Whole or not at all: a disk that is full, or a killed run, leaves no lock without an owner.
if { printf '%s\n' "$token $line" >"$file.$token" && ln "$file.$token" "$file"; } 2>/dev/null; then echo taken
elif [ -e "$file" ]; then echo "held $(cat "$file" 2>/dev/null)"
else echo "unmade ${file%/*} has $(room "${file%/*}") KB of room"; fi
rm -f "$file.$token"
