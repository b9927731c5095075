#!/usr/bin/env bash
# Creates the passwords and API keys for compose.yaml once; existing ones are kept. Run it before the first `docker compose up`.
#
# 1. Write one file per password and API key to ./secrets. Only you can open the folder; the containers' users can read the files.
# 2. Write the folder's name and the id of the Kafka cluster to .env, which `docker compose` reads.
set -euo pipefail
cd "$(dirname "$0")/../.."
umask 077
mkdir -p secrets
chmod 700 secrets
for name in postgres_password ledger_password grafana_password monitoring_password; do
    [ -s "secrets/$name" ] && continue
    head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n' >"secrets/$name"
    chmod 644 "secrets/$name"
    echo "created secrets/$name"
done
# `hs_<id>_<secret>`: 12 hexadecimal digits, and 32 random bytes in base64 for URLs. The container `keys` lets the services accept them.
for name in admin prometheus alertmanager console; do
    [ -s "secrets/${name}_key" ] && continue
    id=$(head -c 6 /dev/urandom | od -An -tx1 | tr -d ' \n')
    secret=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')
    printf 'hs_%s_%s\n' "$id" "$secret" >"secrets/${name}_key"
    chmod 644 "secrets/${name}_key"
    echo "created secrets/${name}_key"
done
touch .env
[ -z "$(tail -c 1 .env)" ] || echo >>.env
grep -q '^SECRETS=' .env || echo 'SECRETS=./secrets' >>.env
# Without dashes: the tool that formats Kafka's storage would read a leading dash as an option.
grep -q '^KAFKA_CLUSTER_ID=' .env ||
    echo "KAFKA_CLUSTER_ID=$(head -c 16 /dev/urandom | base64 | tr '+/' '__' | tr -d '=\n')" >>.env
echo "API key of everything: secrets/admin_key"
echo "Grafana: user admin, password in secrets/grafana_password"
echo "Prometheus and Alertmanager: user homeostat, password in secrets/monitoring_password"
