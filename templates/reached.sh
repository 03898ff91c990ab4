# Asks each endpoint for a linearizable read, side by side; needs ctl.sh.
# Set before: endpoints
for endpoint in $endpoints; do
  { if healthy "$endpoint"; then say "reached $endpoint"; else say "down $endpoint $(why)"; fi; } &
done
wait
