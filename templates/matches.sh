# Checks an uploaded file, which is put out of the way where it is not what it should be.
# Set before: staging file called sha256
set -e
umask 022
cd "$staging"
found=$(sha256sum <"$file")
found=${found%% *}
if [ "$found" != "$sha256" ]; then
  mv "$file" "$file.bad"
  echo "found $called with SHA-256 $found, wanted $sha256; next: look at $staging/$file.bad, then run again" >&2
  exit 1
fi
