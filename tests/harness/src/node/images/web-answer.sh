#!/bin/sh
# Answers one request to the web app:
#   /                  who it is, and the text of GREETING if there is one
#   /env/<name>        the variable
#   /file/<path>       the file
#   /ready             200, or 503 between /ready/off and /ready/on
#   /crash/<code>      the app ends with that code
#   /eat               the app takes memory without end
#   /resolve/<name>    the address of that name
#   /database/<key>    what the database at DATABASE_HOST says, asked as DATABASE_USER with DATABASE_PASSWORD
. /app/http

end() {
    echo "$1" >/tmp/exit-code
    killall nc
}

database() {
    address=$(resolve "$DATABASE_HOST") || { answer '502 Bad Gateway' "there is no host $DATABASE_HOST"; return; }
    credentials=$(printf '%s:%s' "$DATABASE_USER" "$DATABASE_PASSWORD" | base64)
    said=$(timeout 5 wget -q -O - --header "Authorization: Basic $credentials" "http://$address:5432/$1" 2>&1) &&
        answer '200 OK' "$said" || answer '502 Bad Gateway' "the database said: $said"
}

case $path in
/) answer '200 OK' "${GREETING:-hello} from $(hostname)" ;;
/env/*) answer '200 OK' "$(printenv "${path#/env/}")" ;;
/file/*) text=$(cat "${path#/file}" 2>&1) && answer '200 OK' "$text" || answer '404 Not Found' "$text" ;;
/ready/off) touch /tmp/unready && answer '200 OK' 'not ready from now on' ;;
/ready/on) rm -f /tmp/unready && answer '200 OK' 'ready from now on' ;;
/ready) [ -e /tmp/unready ] && answer '503 Service Unavailable' 'not ready' || answer '200 OK' 'ready' ;;
/crash/*) answer '200 OK' "ending with code ${path#/crash/}" && end "${path#/crash/}" ;;
/eat) tail /dev/zero >/dev/null; end $? ;;
/resolve/*) address=$(resolve "${path#/resolve/}") && answer '200 OK' "$address" || answer '404 Not Found' 'no such name' ;;
/database/*) database "${path#/database/}" ;;
*) answer '404 Not Found' "no $path here" ;;
esac
