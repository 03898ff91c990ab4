# Lets the newest release on this host ask; needs ctl.sh. An older etcdctl drops the fields of an answer that it does not
# know, and the one that is linked may be older than what runs, where a run was cut between the two.
newest() { # prefix
  highest=$(
    for folder in "$1"/*/; do
      [ -x "${folder}etcdctl" ] && [ -f "${folder}.archive-sha256" ] && basename "$folder"
    done | sort -t . -k 1,1n -k 2,2n -k 3,3n | tail -n 1
  )
  # shellcheck disable=SC2034 # ctl reads it
  [ -z "$highest" ] || bin_dir=$1/$highest
}
