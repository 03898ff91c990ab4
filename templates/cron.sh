# Puts one marked line into root's crontab, or takes it out, and leaves every other line as it is.
# Set before: table mark line
set -e
umask 077
new=$(mktemp "${table%/*}/../.crontab.XXXXXX")
if [ -f "$table" ]; then grep -vF -e "$mark" "$table" >"$new" || [ $? = 1 ]; fi
[ -z "$line" ] || printf '%s\n' "$line" >>"$new"
# The daemon looks again when its folder changes, which a rename does.
mv -f "$new" "$table"
