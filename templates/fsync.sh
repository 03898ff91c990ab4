# Measures how long a small durable write takes, with no more than dd: the same loop with and without fsync. Needs enter.sh.
# Set before: folder
set -e
enter "$folder" || exit 1
own_room || exit 1
file=./fsync
centis() { IFS='. ' read -r whole part _ </proc/uptime; echo $((whole * 100 + 1$part - 100)); }
run() { i=0; while [ $i -lt 20 ]; do dd if=/dev/zero of="$file" bs=2048 count=1 "$1" 2>/dev/null; i=$((i + 1)); done; }
a=$(centis); run conv=notrunc; b=$(centis); run conv=notrunc,fsync; c=$(centis)
rm -f "$file"
leave_room
echo "fsync $(((c - b - (b - a)) * 10 / 20))"
