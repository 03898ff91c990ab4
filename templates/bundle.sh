# Unpacks an uploaded archive, and runs the installer that lies in it. Needs matches.sh.
# Set before: staging file program sha256 prefix version
rm -rf "$staging/bundle"
mkdir "$staging/bundle"
tar -xzof "$program" -C "$staging/bundle" --strip-components=1
if ! [ -f "$staging/bundle/install" ] || ! command -v bash >/dev/null 2>&1; then
  echo "found no installer in the archive of $program $version, or no bash to run it, wanted both; next: look at $staging/bundle" >&2
  exit 1
fi
if ! said=$(cd "$staging/bundle" && bash ./install 2>&1 </dev/null); then
  echo "found an installer of $program $version that failed: $(printf '%s\n' "$said" | tail -n 1)" >&2
  echo "wanted it to end well; next: look at $staging/bundle, then run again" >&2
  exit 1
fi
mkdir -p "$prefix/$version"
rm -rf "$staging/bundle" "${staging:?}/$program"
# Last, as it says that all is installed.
echo "$sha256" >"$prefix/$version/.$program-sha256"
