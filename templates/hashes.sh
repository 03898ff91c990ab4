# Tells the lowest revision of some endpoints, and the hashes of their keys at it; needs ctl.sh.
# Set before: endpoints (separated by commas)
# Where one does not answer etcdctl ends with an error, after the answers of the others.
# shellcheck disable=SC2034 # become_ctl reads it
longest=900
ctl "$endpoints" endpoint status -w json || :
revision=$(lines "$answer" | grep -o '"revision":[0-9]*' | cut -d : -f 2 | sort -n | head -n 1)
if [ -z "$revision" ]; then say "refused $(why)"; exit 0; fi
say "revision $revision"
if ctl "$endpoints" --command-timeout=10m endpoint hashkv --rev="$revision" -w json; then say "hashes $answer"
else say "refused $(why)"; fi
