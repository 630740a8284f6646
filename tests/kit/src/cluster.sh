# Runs a private PostgreSQL cluster for as long as stdin stays open, then removes it. `$1` are settings for the server;
# a line `stop` (as a crash would) or `start` on stdin is carried out and answered with the same word. The kernel closes the pipe
# however the owner ends, so not even `kill -9` leaves a server or a directory behind.
set -eu

fail() { echo "$1" >&2; exit 1; }

bin=$(dirname "$(command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)")
[ -x "$bin/initdb" ] || fail "no PostgreSQL server found: install the package \`postgresql\` (apt-get install postgresql) or set DATABASE_URL"

# PostgreSQL refuses to run as root.
if [ "$(id -u)" = 0 ]; then
    exec setpriv --reuid=postgres --regid=postgres --init-groups sh -c "$0" "$0" "$1"
fi

# Ctrl-C reaches the whole foreground group; the end of stdin is the only order taken here.
trap '' INT TERM HUP
cd /
dir=$(mktemp -d "${TMPDIR:-/tmp}/chancery-pg-XXXXXX")
trap '"$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || :; rm -rf "$dir"' EXIT

"$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 ||
    fail "initdb failed: $(cat "$dir/log")"
# No TCP port, so no two runs can collide.
start() {
    "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w start -o "-k '$dir' -c listen_addresses= $1" >/dev/null 2>&1 ||
        fail "postgres did not start: $(cat "$dir/log")"
}
start "$1"

echo "postgres://postgres@localhost/postgres?host=$dir"
while read -r order; do
    case $order in
    stop) "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1 || fail "postgres did not stop" ;;
    start) start "$1" ;;
    esac
    echo "$order"
done
