# Fetches the key of a package repository by apt's own way out, with its proxies, and puts it where the list names it.
# Set before: url key cure
(
  umask 022
  mkdir -p "${key%/*}"
  if ! said=$(outside /usr/lib/apt/apt-helper download-file "$url" "$key.steward" 2>&1 >/dev/null </dev/null); then
    echo "found no $url ($(printf '%s\n' "$said" | grep '^E:' | head -n 1)), wanted the repository's key; next: $cure" >&2
    exit 1
  fi
  if ! grep -q -e "-----BEGIN PGP PUBLIC KEY BLOCK-----" "$key.steward"; then
    mv -f "$key.steward" "$key.bad"
    echo "found no key at $url, kept as $key.bad, wanted the repository's; next: $cure" >&2
    exit 1
  fi
  chmod 644 "$key.steward"
  mv -f "$key.steward" "$key"
)
