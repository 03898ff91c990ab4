# Says yes where an account and its group are there, wherever the host has them from. Needs groups.sh.
# Set before: user group
if id "$user" >/dev/null 2>&1 && [ -n "$(group_of "$group")" ]; then echo yes; fi
