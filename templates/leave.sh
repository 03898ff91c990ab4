# Moves what a member leaves behind aside, in place; runs behind aside.sh, which defines `free`.
# Set before: paths (the record last: it tells an interrupted run which cluster this was)
for path in $paths; do
  [ -e "$path" ] || [ -L "$path" ] || continue
  to=$(free "$path")
  mv -nT "$path" "$to"
  if [ -e "$path" ] || [ -L "$path" ]; then
    echo "found that $path cannot be moved to $to, wanted it aside; next: look at the folder, then run again" >&2
    exit 1
  fi
  echo "$path lies aside as $to"
done
sync
