#!/bin/bash
# Prepare the log of a new broker with its own user, by SCRAM; a log that is prepared already is left
# as it is. That user's password is changed later by kafka-configs.sh; rights.sh adds all others.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/format.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:9093
controller.listener.names=CONTROLLER
listeners=INTERNAL://:19092,CONTROLLER://localhost:9093
listener.security.protocol.map=INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
log.dirs=${LOG_DIRS:-/var/lib/kafka/data}
PROPERTIES
# From a file, for everybody sees the arguments of a process.
printf '%s\n' --add-scram "SCRAM-SHA-512=[name=$SASL_USERNAME,password=$SASL_PASSWORD]" > "$work/user"
"${KAFKA_BIN:-/opt/kafka/bin}/kafka-storage.sh" format --ignore-formatted --cluster-id "$CLUSTER_ID" \
  --config "$work/format.properties" "@$work/user"
