# Tells the lowest revision of some endpoints, and the hashes of their keys at it; needs ctl.sh.
# Set before: endpoints (separated by commas)
status=$(ctl "$endpoints" endpoint status -w json | tail -n 1)
revision=$(say "$status" | grep -o '"revision":[0-9]*' | cut -d : -f 2 | sort -n | head -n 1)
if [ -z "$revision" ]; then say "$status"; exit 0; fi
say "revision $revision"
ctl "$endpoints" --command-timeout=10m endpoint hashkv --rev="$revision" -w json | tail -n 1
