# Checks an uploaded file, which is put out of the way where it is not what it should be.
# Set before: staging program sha256
set -e
umask 022
cd "$staging"
found=$(sha256sum <"$program")
found=${found%% *}
if [ "$found" != "$sha256" ]; then
  mv "$program" "$program.bad"
  echo "found a $program with SHA-256 $found, wanted $sha256; next: look at $staging/$program.bad, then run again" >&2
  exit 1
fi
