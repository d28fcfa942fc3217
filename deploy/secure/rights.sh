#!/bin/bash
# Users of a Kafka with an authorizer, and what each of them may do, as rights.txt lists it:
#
#   rights.sh                  a user for each service, and its rights, no more and no less
#   rights.sh producer NAME    a user of yours who may send audio
#   rights.sh reader NAME      a user of yours who may read predictions
#
# It reads: BOOTSTRAP_SERVERS and SSL_CAFILE (PEM) of the brokers; SASL_USERNAME and SASL_PASSWORD of
# a user who may do everything; KAFKA_PASSWORD_EXTRACTOR and so on, of the services' users, SASL_PASSWORD
# where one is not set; NEW_PASSWORD, of a user of yours; GENRESTREAM_TOPIC_PREFIX, which stands before
# the names of topics, groups and services' users.
set -euo pipefail

bin=${KAFKA_BIN:-/opt/kafka/bin}
table=${RIGHTS:-$(dirname "$0")/rights.txt}
prefix=${GENRESTREAM_TOPIC_PREFIX:-}
work=$(mktemp -d) # only we can look into it; what is secret is never an argument
trap 'rm -rf "$work"' EXIT
export LOG_DIR=$work KAFKA_HEAP_OPTS=-Xmx128m
export KAFKA_JVM_PERFORMANCE_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1"

refuse() { echo "error: $*" >&2; exit 2; }

check_password() { # NAME PASSWORD
  [ -n "$2" ] || refuse "choose a password for $1"
  case $2 in *[\"\\,\[\]]* | *[[:space:]]*)
    refuse "the password of $1 has a quote, a comma, a bracket, a backslash or a space: choose another" ;;
  esac
}

kafka() { # TOOL ARGUMENT...: quiet, unless it fails
  local tool=$1 said
  shift
  said=$("$bin/$tool" --bootstrap-server "$BOOTSTRAP_SERVERS" --command-config "$work/client" "$@" 2>&1) ||
    refuse "$tool: $said"
  printf '%s\n' "$said"
}

pids=()
together() { # COMMAND...: four at a time, for each takes a second of Java
  "$@" >/dev/null & pids+=($!)
  [ ${#pids[@]} -lt 4 ] || settle
}
settle() {
  local pid
  for pid in "${pids[@]}"; do wait "$pid"; done
  pids=()
}

add_user() { # NAME PASSWORD
  check_password "$1" "$2"
  printf 'SCRAM-SHA-512=password=%s\n' "$2" > "$work/user-$1"
  together kafka kafka-configs.sh --alter --entity-type users --entity-name "$1" \
    --add-config-file "$work/user-$1"
}

declare -A wanted=() held=() missing=()
want() { # USER KIND NAME OPERATIONS: what is not held yet is missing
  local user=$1 kind=${2^^} name=$3 pattern=LITERAL operation lacks=
  case $name in *'*') name=${name%'*'} pattern=PREFIXED ;; esac
  for operation in ${4//,/ }; do
    operation=${operation^^}
    wanted["$user $kind $pattern $name $operation"]=1
    [ -n "${held["$user $kind $pattern $name $operation"]:-}" ] || lacks+=" --operation $operation"
  done
  [ -z "$lacks" ] || missing["--allow-principal User:$user --resource-pattern-type $pattern$lacks"]+=" --${2} $name"
}
give_missing() {
  local whom_what
  for whom_what in "${!missing[@]}"; do
    # shellcheck disable=SC2086  # words without spaces
    together kafka kafka-acls.sh --add $whom_what ${missing[$whom_what]}
  done
  settle
}

read_held() { # what kafka-acls.sh lists, as: USER KIND PATTERN NAME OPERATION
  local line resource="" entry listed
  listed=$(kafka kafka-acls.sh --list)
  local of='resourceType=([A-Z_]+), name=(.*), patternType=([A-Z]+)'
  local may='principal=User:(.*), host=\*, operation=([A-Z_]+), permissionType=ALLOW'
  while read -r line; do
    if [[ $line =~ $of ]]; then
      resource="${BASH_REMATCH[1]} ${BASH_REMATCH[3]} ${BASH_REMATCH[2]}"
    elif [[ $line =~ $may ]]; then
      entry="${BASH_REMATCH[1]} $resource ${BASH_REMATCH[2]}"
      held[$entry]=1
    fi
  done <<< "$listed"
}

take_away() { # USER KIND PATTERN NAME OPERATION
  together kafka kafka-acls.sh --remove --force --allow-principal "User:$1" "--${2,,}" "$4" \
    --resource-pattern-type "${3,,}" --operation "$5"
}

give_services() {
  local user kind name operations variable entry
  local -A users=()
  read_held
  while read -r user kind name operations; do
    case $user in '#'* | producer | reader) continue ;; esac
    users[$user]=1
    want "$prefix$user" "$kind" "$prefix$name" "$operations"
  done < "$table"
  give_missing
  for entry in "${!held[@]}"; do
    user=${entry%% *}
    [[ $user == "$prefix"* && -n "${users[${user#"$prefix"}]:-}" && -z "${wanted[$entry]:-}" ]] || continue
    # shellcheck disable=SC2086  # five words
    take_away $entry
  done
  settle
  for user in "${!users[@]}"; do # last: who can log in has its rights
    variable=KAFKA_PASSWORD_${user^^}
    add_user "$prefix$user" "${!variable:-$SASL_PASSWORD}"
  done
  settle
  echo "${#users[@]} users have ${#wanted[@]} rights"
}

give_one() { # ROLE NAME
  local user kind name operations
  case $2 in '' | *[!A-Za-z0-9._-]*) refuse "the name '$2' has more than letters, digits, dots and lines" ;; esac
  while read -r user kind name operations; do
    [ "$user" = "$1" ] || continue
    case $name in NAME*) name=$2${name#NAME} ;; *) name=$prefix$name ;; esac
    want "$2" "$kind" "$name" "$operations"
  done < "$table"
  give_missing
  add_user "$2" "${NEW_PASSWORD:-}"
  settle
  echo "$2 is a $1"
}

check_password "$SASL_USERNAME" "$SASL_PASSWORD"
cat > "$work/client" <<PROPERTIES
security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="$SASL_USERNAME" password="$SASL_PASSWORD";
ssl.truststore.type=PEM
ssl.truststore.location=$SSL_CAFILE
PROPERTIES
case $#:${1:-} in
  0:) give_services ;;
  2:producer | 2:reader) give_one "$1" "$2" ;;
  *) refuse "usage: rights.sh [producer NAME | reader NAME]" ;;
esac
