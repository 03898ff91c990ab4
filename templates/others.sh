# Asks some endpoints for their health and status, side by side; needs ctl.sh.
# Set before: endpoints
for endpoint in $endpoints; do
  { if answer=$(ctl "$endpoint" endpoint health) && status=$(ctl "$endpoint" endpoint status -w json); then
      say "status $endpoint $status"
    else say "down $endpoint $(say "$answer" | why)"; fi; } &
done
wait
