#!/bin/bash
exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "${KAFKA_JARS:-/opt/kafka/libs}/*" \
  org.apache.kafka.tools.AclCommand "$@"
