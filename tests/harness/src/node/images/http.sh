# Sourced by the scripts that answer one HTTP request on standard input and output.
# Sets method, path, authorization and body.
cr=$(printf '\r')
length=0
read -r method path _
while read -r line; do
    line=${line%"$cr"}
    case $line in
    '') break ;;
    [Cc]ontent-[Ll]ength:*) length=${line#*: } ;;
    [Aa]uthorization:*) authorization=${line#*: } ;;
    esac
done
body=$(head -c "$length")

# answer '<code> <reason>' '<text>'
answer() {
    printf 'HTTP/1.0 %s\r\nContent-Type: text/plain\r\nContent-Length: %s\r\n\r\n%s\n' "$1" $((${#2} + 1)) "$2"
}

# The address of a name, which may be short as in any pod. (The C library's own way does not work in a static program.)
resolve() {
    for domain in '' $(awk '/^search/ { for (i = 2; i <= NF; i++) print "." $i }' /etc/resolv.conf); do
        address=$(nslookup -type=a "$1$domain" 2>/dev/null | awk '/^Name:/ { named = 1 } named && /^Address/ { print $NF; exit }')
        [ -n "$address" ] && echo "$address" && return
    done
    return 1
}
