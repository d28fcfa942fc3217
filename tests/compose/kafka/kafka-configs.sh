#!/bin/bash
exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "${KAFKA_JARS:-/opt/kafka/libs}/*" \
  kafka.admin.ConfigCommand "$@"
