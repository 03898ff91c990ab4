# Writes flannel's network configuration over exactly what was seen there, and reads it back. Needs ctl.sh.
# Set before: endpoint name literal revision
transaction() { printf 'mod("%s") = "%s"\n\nput %s %s\n\n\n' "$name" "$revision" "$name" "$literal" | become_ctl "$endpoint" txn; }
if hear transaction; then say "put $(lines "$answer" | tr '\n' ' ')"; else say "refused $(why)"; fi
if ctl "$endpoint" get "$name" -w json; then say "keys $answer"; else say "denied $(why)"; fi
