#!/bin/sh
# Answers one request to the database: GET /<key> reads, POST /<key> writes, GET / lists the keys. Without the right user
# and password (HTTP basic authentication) nothing is told.
. /app/http
key=${path#/}
case $key in */* | .*) answer '400 Bad Request' 'a key is one word'; exit ;; esac
expected=$(printf '%s:%s' "$USER_NAME" "$PASSWORD" | base64)
if [ -n "$PASSWORD" ] && [ "$authorization" != "Basic $expected" ]; then
    answer '401 Unauthorized' "password authentication failed for user $USER_NAME"
    exit
fi
case $method in
POST) printf '%s' "$body" >"$DATA/$key.new" && mv "$DATA/$key.new" "$DATA/$key" && sync && answer '200 OK' "stored $key" ;;
GET)
    if [ -z "$key" ]; then
        answer '200 OK' "$(ls "$DATA")"
    else
        text=$(cat "$DATA/$key" 2>/dev/null) && answer '200 OK' "$text" || answer '404 Not Found' "no $key in $DATABASE"
    fi
    ;;
*) answer '405 Method Not Allowed' "$method is not known" ;;
esac
