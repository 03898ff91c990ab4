# Tells whether the own two ports show exactly the certificates in two files: of each nothing else is believed. Needs ctl.sh.
# Go takes a certificate that is among its roots for its own proof, whoever has signed it, and no other of that signer.
# Set before: endpoint server, peer_endpoint peer peer_key, and the health-check pair as cert and key
first() { awk '/-----BEGIN CERTIFICATE-----/ { on = 1 } on { print } /-----END CERTIFICATE-----/ { exit }' "$1"; }
believed=$(mktemp -d) || exit 1
trap 'rm -rf "$believed"' EXIT
first "$server" >"$believed/server.pem"
first "$peer" >"$believed/peer.pem"
tell() { say "shown $1 $(lines "$said" "$answer" | tail -c 1500 | tr '\n' ' ')"; }
{ ca=$believed/server.pem
  ctl "$endpoint" --debug endpoint health || :
  tell "$endpoint"; } &
# shellcheck disable=SC2034 # ctl reads them
{ ca=$believed/peer.pem cert=$peer key=$peer_key
  ctl "$peer_endpoint" --debug --command-timeout=1s get etcd-steward || :
  tell "$peer_endpoint"; } &
wait
