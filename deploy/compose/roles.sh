#!/bin/bash
# Runs once, when the database is made: the owner of the schema, the nodes' role, and what the latter may do with whatever the former makes.
set -euo pipefail
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    -v owner_password="$FLORIN_OWNER_PASSWORD" -v node_password="$FLORIN_NODE_PASSWORD" <<'SQL'
CREATE ROLE florin_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE florin_node LOGIN PASSWORD :'node_password';
CREATE DATABASE florin OWNER florin_owner;
\connect florin
ALTER DEFAULT PRIVILEGES FOR ROLE florin_owner GRANT USAGE ON SCHEMAS TO florin_node;
ALTER DEFAULT PRIVILEGES FOR ROLE florin_owner GRANT SELECT ON TABLES TO florin_node;
ALTER DEFAULT PRIVILEGES FOR ROLE florin_owner GRANT EXECUTE ON FUNCTIONS TO florin_node;
SQL
