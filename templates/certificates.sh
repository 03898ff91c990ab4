# certificates_in FILE WORD: tells the certificates of a file, each line behind the word, and the comment that names their
# key; an empty line where the file holds none. Whatever else stands there is told to nobody: it may be a key. A
# certificate holds its public key, as the key's file does: so a line comes in two parts, and no long run shows.
certificates_in() {
  [ -f "$1" ] || return 0
  awk -v word="$2" '
    function tell(line) { told = 1; print word " " substr(line, 1, 32) (length(line) > 32 ? "|" substr(line, 33) : "") }
    { sub(/\r$/, "") }
    NR == 1 && /^# key-sha256 [0-9a-f]+$/ { tell($0); next }
    /^-----BEGIN (X509 )?CERTIFICATE-----$/ { inside = 1; tell("-----BEGIN CERTIFICATE-----"); next }
    /^-----END (X509 )?CERTIFICATE-----$/ { if (inside) tell("-----END CERTIFICATE-----"); inside = 0; next }
    !/^[A-Za-z0-9+\/=]+$/ { inside = 0 }
    inside { tell($0) }
    END { if (!told) tell("") }' "$1"
}
