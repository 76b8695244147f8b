#!/bin/sh
# A small web app, the first process of its container. Environment: PORT (8080), CRASH=<code> ends it at once with that
# code, EAT=yes makes it take memory without end. What it answers stands in web-answer.sh.
if [ -n "$CRASH" ]; then
    echo "web: told by CRASH to end with code $CRASH" >&2
    exit "$CRASH"
fi
if [ -n "$EAT" ]; then
    echo "web: told by EAT to take memory"
    exec tail /dev/zero
fi
echo "web: listening on port ${PORT:-8080}"
nc -ll -p "${PORT:-8080}" -e /app/web-answer &
server=$!
trap 'kill $server; exit 0' TERM INT
wait $server
code=$(cat /tmp/exit-code 2>/dev/null || echo 1)
echo "web: ending with code $code" >&2
exit "$code"
