# Forgets the history up to a revision, and waits until its place is free; needs ctl.sh.
# Set before: endpoint revision seconds
# shellcheck disable=SC2034 # become_ctl reads it
longest=$((seconds + 60))
if ctl "$endpoint" --command-timeout="${seconds}s" compaction --physical "$revision"; then say compacted
else
  # Somebody else was faster, as Kubernetes' API servers compact every five minutes.
  case $(why) in *"has been compacted"*) say compacted ;; *) say "refused $(why)" ;; esac
fi
