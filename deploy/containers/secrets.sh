#!/usr/bin/env bash
# Passwords for compose.yaml: made once, never overwritten. Run it before the first `docker compose up`.
#
# 1. ./secrets gets a file for each password. The folder is yours alone; the files in it can be read by the containers' users.
# 2. .env, which `docker compose` reads, gets the folder's name and the Kafka cluster's id.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets
for name in postgres_password ledger_password grafana_password; do
    [ -s "secrets/$name" ] && continue
    head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n' >"secrets/$name"
    chmod 644 "secrets/$name"
    echo "made secrets/$name"
done
touch .env
[ -z "$(tail -c 1 .env)" ] || echo >>.env
grep -q '^SECRETS=' .env || echo 'SECRETS=./secrets' >>.env
# Without dashes: the tool that formats Kafka's storage takes an id that begins with one for an option.
grep -q '^KAFKA_CLUSTER_ID=' .env ||
    echo "KAFKA_CLUSTER_ID=$(head -c 16 /dev/urandom | base64 | tr '+/' '__' | tr -d '=\n')" >>.env
echo "Grafana: user admin, password in secrets/grafana_password"
