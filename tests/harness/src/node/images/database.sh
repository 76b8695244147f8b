#!/bin/sh
# A stand-in for PostgreSQL: told its user, password and database as the images of Red Hat (POSTGRESQL_...) or of Docker
# (POSTGRES_...) are, it keeps one file for each key in its data folder. What it answers stands in database-answer.sh.
export USER_NAME="${POSTGRESQL_USER:-$POSTGRES_USER}"
export PASSWORD="${POSTGRESQL_PASSWORD:-$POSTGRES_PASSWORD}"
export DATABASE="${POSTGRESQL_DATABASE:-$POSTGRES_DB}"
export DATA="${PGDATA:-/var/lib/pgsql/data}/$DATABASE"
missing=
[ -n "$USER_NAME" ] || missing="$missing POSTGRESQL_USER"
[ -n "$PASSWORD" ] || [ "$POSTGRES_HOST_AUTH_METHOD" = trust ] || missing="$missing POSTGRESQL_PASSWORD"
[ -n "$DATABASE" ] || missing="$missing POSTGRESQL_DATABASE"
if [ -n "$missing" ]; then
    echo "error: you must specify the following environment variables:$missing" >&2
    exit 1
fi
mkdir -p "$DATA" || exit 1
echo "database system is ready to accept connections on database $DATABASE"
nc -ll -p 5432 -e /app/database-answer &
server=$!
trap 'echo "received fast shutdown request"; kill $server; exit 0' TERM INT
wait $server
