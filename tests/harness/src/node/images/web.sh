#!/bin/sh
# A small web app, the first process of its container. Environment: PORT (8080), EAT=yes makes it take memory without end.
# A file /scratch/crash with a code in it ends the app with that code, now and whenever it starts. What it answers stands in
# web-answer.sh.
if [ -e /scratch/crash ]; then
    code=$(cat /scratch/crash)
    echo "web: told by /scratch/crash to end with code $code" >&2
    exit "$code"
fi
if [ -n "$EAT" ]; then
    echo "web: told by EAT to take memory"
    exec tail /dev/zero
fi
echo "web: listening on port ${PORT:-8080}"
nc -ll -p "${PORT:-8080}" -e /app/web-answer &
server=$!
trap 'kill $server; exit 0' TERM INT
while kill -0 $server 2>/dev/null; do
    [ -e /scratch/crash ] && kill $server
    sleep 0.2
done
code=$(cat /tmp/exit-code 2>/dev/null || cat /scratch/crash 2>/dev/null || echo 1)
echo "web: ending with code $code" >&2
exit "$code"
