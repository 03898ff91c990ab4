# Unpacks an uploaded archive, and runs the installer that lies in it. Needs kept.sh and matches.sh.
# Set before: staging file program sha256 prefix version etc (the folder of configuration) aside
rm -rf "$staging/bundle" "$staging/names" "$staging/before"
mkdir "$staging/bundle"
tar -xzof "$program" -C "$staging/bundle" --strip-components=1
if ! [ -f "$staging/bundle/install" ] || ! command -v bash >/dev/null 2>&1; then
  echo "found no installer in the archive of $program $version, or no bash to run it, wanted both; next: look at $staging/bundle" >&2
  exit 1
fi
# An installer writes over what was changed on the host: what bears the name of a file of the archive is kept before it can.
find "$staging/bundle" -type f | sed 's:.*/::' >"$staging/names"
(umask 077 && mkdir "$staging/before")
find "$etc" -path "$aside" -prune -o -type f -print | awk -F/ 'NR == FNR { named[$0]; next } $NF in named' "$staging/names" - >"$staging/found"
while IFS= read -r at; do
  mkdir -p "$staging/before${at%/*}"
  cp -p "$at" "$staging/before$at"
done <"$staging/found"
(cd "$staging/bundle" && bash ./install) >"$staging/said" 2>&1 </dev/null && ended=0 || ended=$?
while IFS= read -r at; do
  if cmp -s "$at" "$staging/before$at" || grep -q "ritten by etcd-steward" "$staging/before$at"; then continue; fi
  keep "$at" "$staging/before$at"
  echo "the installer of $program $version has written over $at; what was there is kept in $aside$at"
done <"$staging/found"
if [ "$ended" -ne 0 ]; then
  echo "found an installer of $program $version that failed: $(tail -n 1 "$staging/said")" >&2
  echo "wanted it to end well; next: look at $staging/bundle, then run again" >&2
  exit 1
fi
mkdir -p "$prefix/$version"
rm -rf "$staging/bundle" "$staging/before" "$staging/names" "$staging/found" "$staging/said" "${staging:?}/$program"
# Last, as it says that all is installed.
echo "$sha256" >"$prefix/$version/.$program-sha256"
