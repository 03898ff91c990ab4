# Tells how old the folders are that begin with a name, and where they lie. Anybody may make names in /var/tmp: those with
# other signs than ours, and links, are passed over.
tell_left() { # beginning
  now=$(date +%s)
  for left in "$1"*; do
    case $left in *[!A-Za-z0-9._/-]*) continue ;; esac
    if [ -d "$left" ] && [ ! -L "$left" ]; then echo "left $((now - $(stat -c %Y "$left"))) $left"; fi
  done
}
