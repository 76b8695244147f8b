#!/bin/sh
# The database's client, for the container that it runs in: db get <key> | db put <key> <text>
user="${POSTGRESQL_USER:-$POSTGRES_USER}"
password="${POSTGRESQL_PASSWORD:-$POSTGRES_PASSWORD}"
credentials="Authorization: Basic $(printf '%s:%s' "$user" "$password" | base64)"
case $1 in
get) exec wget -q -O - --header "$credentials" "http://127.0.0.1:5432/$2" ;;
put) exec wget -q -O - --header "$credentials" --post-data "$3" "http://127.0.0.1:5432/$2" ;;
*) echo "usage: db get <key> | db put <key> <text>" >&2; exit 2 ;;
esac
