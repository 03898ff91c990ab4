# Removes folders of runs that have ended: none whose name anybody else may have made up, no link, and only the own account's.
# Set before: abandoned (their paths)
me=$(id -u)
for path in $abandoned; do
  case $path in *[!A-Za-z0-9._/@+-]* | *..*) continue ;; esac
  [ -d "$path" ] && [ ! -L "$path" ] && [ "$(stat -c %u "$path")" = "$me" ] && rm -rf "$path"
done
:
