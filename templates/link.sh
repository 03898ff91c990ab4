# Makes the links to a release's programs; a program that is no link is moved aside.
# Set before: bin_dir release tools
(umask 022 && mkdir -p "$bin_dir")
for tool in $tools; do
  at=$bin_dir/$tool
  if [ -e "$at" ] && ! [ -L "$at" ]; then mv "$at" "$at.$(date -u +%Y%m%dT%H%M%SZ)-$$"; fi
  ln -s "$release/$tool" "$at.$$"
  mv -f "$at.$$" "$at"
done
