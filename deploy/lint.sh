#!/bin/sh
# Check what runs in containers: Dockerfiles, compose files, alert rules. What cannot be checked on
# this machine is named.
set -eu
cd "$(dirname "$0")/.."

skip() { echo "not checked: $1, for there is no $2 on the path"; }

if command -v hadolint >/dev/null; then
  hadolint Dockerfile tests/compose/kafka/Dockerfile
  echo "hadolint: the Dockerfiles are fine"
else
  skip "the Dockerfiles" hadolint
fi

if docker-compose version >/dev/null 2>&1; then
  compose="docker-compose"
elif docker compose version >/dev/null 2>&1; then
  compose="docker compose"
else
  compose=
fi
if [ -n "$compose" ]; then # its config command validates by the schema of the compose specification
  $compose -f docker-compose.yml --profile monitoring --profile all config --quiet
  KAFKA_SASL_PASSWORD=x $compose -f docker-compose.yml -f compose.secure.yaml --profile monitoring --profile all \
    config --quiet
  echo "compose: the files are valid"
else
  skip "the compose files" "docker compose"
fi

if command -v promtool >/dev/null; then
  promtool check rules deploy/prometheus/alerts.yml
  promtool test rules deploy/prometheus/stations_test.yml deploy/prometheus/workers_test.yml
else
  skip "the alert rules beyond tests/deploy" promtool
fi
