# Lays a copy of a file that only root can read where another account can read it and nobody but root can put anything.
# Needs left.sh.
# Set before: source pattern account folders
umask 077
tell_left "$folders"
folder=$(mktemp -d "$pattern") || exit 0
if cp "$source" "$folder/copy" && chmod 400 "$folder/copy" && chown -h "$account" "$folder/copy" && chmod 711 "$folder"; then
  echo "handed $folder"
else rm -rf "$folder"; fi
