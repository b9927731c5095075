#!/usr/bin/env bash
# Creates the passwords for compose.yaml once; existing ones are kept. Run it before the first `docker compose up`.
#
# 1. Write one file per password to ./secrets. Only you can open the folder; the containers' users can read the files.
# 2. Write the folder's name and the id of the Kafka cluster to .env, which `docker compose` reads.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets
for name in postgres_password ledger_password grafana_password; do
    [ -s "secrets/$name" ] && continue
    head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n' >"secrets/$name"
    chmod 644 "secrets/$name"
    echo "created secrets/$name"
done
touch .env
[ -z "$(tail -c 1 .env)" ] || echo >>.env
grep -q '^SECRETS=' .env || echo 'SECRETS=./secrets' >>.env
# Without dashes: the tool that formats Kafka's storage would read a leading dash as an option.
grep -q '^KAFKA_CLUSTER_ID=' .env ||
    echo "KAFKA_CLUSTER_ID=$(head -c 16 /dev/urandom | base64 | tr '+/' '__' | tr -d '=\n')" >>.env
echo "Grafana: user admin, password in secrets/grafana_password"
