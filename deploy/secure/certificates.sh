#!/bin/sh
# Make an authority and certificates for a Kafka broker and its clients, in PEM:
#
#   certificates.sh FOLDER HOST...
#
# writes FOLDER/ca.pem, FOLDER/broker.pem (key and certificate of the hosts, for Kafka's PEM key
# store), FOLDER/client.pem and FOLDER/client.key. The authority's key is not kept. A folder that
# has them already is left as it is. OWNER=user:group hands the broker's key over. For trying things out; yours come from your own authority.
set -eu

folder=$1
shift
[ $# -gt 0 ] || { echo "usage: certificates.sh FOLDER HOST..." >&2; exit 2; }
if [ -f "$folder/broker.pem" ]; then
  echo "$folder has certificates already"
  exit 0
fi
days=825
names=
for host in "$@"; do
  case $host in
    *[!0-9.]*) names="$names,DNS:$host" ;;
    *) names="$names,IP:$host" ;;
  esac
done

umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
new="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

# shellcheck disable=SC2086  # options, meant to be split
openssl req -x509 $new -days $days -subj "/CN=genrestream test authority" \
  -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
sign() { # NAME, EXTENSIONS
  # shellcheck disable=SC2086
  openssl req $new -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.csr" 2>/dev/null
  printf '%s\n' "$2" > "$work/$1.ext"
  openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial \
    -days $days -extfile "$work/$1.ext" -out "$work/$1.pem" 2>/dev/null
}
sign broker "subjectAltName=${names#,}"
sign client "extendedKeyUsage=clientAuth"

mkdir -p "$folder"
chmod 755 "$folder"
cp "$work/ca.pem" "$work/client.pem" "$work/client.key" "$folder"
chmod 644 "$folder/ca.pem" "$folder/client.pem"
cat "$work/broker.key" "$work/broker.pem" "$work/ca.pem" > "$folder/broker.pem"
[ -z "${OWNER:-}" ] || chown "$OWNER" "$folder/broker.pem"
