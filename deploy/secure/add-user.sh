#!/bin/bash
# Prepare the log of a new broker with a SCRAM user; a log that is prepared already is left as it is.
# The user's password is changed later by kafka-configs.sh, see docs/operations.md.
set -euo pipefail

cat > /tmp/format.properties <<'PROPERTIES'
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:9093
controller.listener.names=CONTROLLER
listeners=INTERNAL://:19092,CONTROLLER://localhost:9093
listener.security.protocol.map=INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
log.dirs=/var/lib/kafka/data
PROPERTIES
exec /opt/kafka/bin/kafka-storage.sh format --ignore-formatted --cluster-id "$CLUSTER_ID" \
  --config /tmp/format.properties \
  --add-scram "SCRAM-SHA-512=[name=$SASL_USERNAME,password=$SASL_PASSWORD]"
