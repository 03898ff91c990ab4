# Asks some endpoints for their health and status, side by side, or for their status whatever their health; needs ctl.sh.
# Set before: endpoints unwell
for endpoint in $endpoints; do
  { if { [ -n "$unwell" ] || healthy "$endpoint"; } && ctl "$endpoint" endpoint status -w json; then
      say "status $endpoint $answer"
    else say "down $endpoint $(why)"; fi; } &
done
wait
