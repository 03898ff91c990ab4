# Writes flannel's network configuration over exactly what was seen there, and reads it back. Needs ctl.sh.
# Set before: endpoint name literal revision
answer=$(printf 'mod("%s") = "%s"\n\nput %s %s\n\n\n' "$name" "$revision" "$name" "$literal" | ctl "$endpoint" txn)
say "put $(say "$answer" | tr '\n' ' ')"
if answer=$(ctl "$endpoint" get "$name" -w json); then say "keys $answer"
else say "denied $(say "$answer" | why)"; fi
