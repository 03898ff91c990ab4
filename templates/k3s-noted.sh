# Tells what k3s is started with: the digests of what it reads only then, and the path of its program.
# Set before: reads (paths and patterns of paths) program
noted() {
  for file in $reads; do
    if [ -f "$file" ]; then sum=$(sha256sum <"$file") && echo "${sum%% *} $file"; fi
  done
  readlink -f "$program"
}
