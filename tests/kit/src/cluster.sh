# Runs a private PostgreSQL cluster for as long as stdin stays open, then removes it. The kernel closes the pipe
# however the owner ends, so not even `kill -9` leaves a server or a directory behind.
set -eu

fail() { echo "$1" >&2; exit 1; }

bin=$(dirname "$(command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)")
[ -x "$bin/initdb" ] || fail "no PostgreSQL server found: install the package \`postgresql\` (apt-get install postgresql) or set DATABASE_URL"

# PostgreSQL refuses to run as root.
if [ "$(id -u)" = 0 ]; then
    exec setpriv --reuid=postgres --regid=postgres --init-groups sh -c "$0" "$0"
fi

# Ctrl-C reaches the whole foreground group; the end of stdin is the only order taken here.
trap '' INT TERM HUP
cd /
dir=$(mktemp -d "${TMPDIR:-/tmp}/chancery-pg-XXXXXX")
trap '"$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || :; rm -rf "$dir"' EXIT

"$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 ||
    fail "initdb failed: $(cat "$dir/log")"
# Nothing here outlives the run, so nothing waits for the disk. No TCP port, so no two runs can collide.
"$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w start -o "-k '$dir' -c listen_addresses= -c max_connections=300 \
    -c fsync=off -c full_page_writes=off -c synchronous_commit=off" >/dev/null 2>&1 ||
    fail "postgres did not start: $(cat "$dir/log")"

echo "postgres://postgres@localhost/postgres?host=$dir"
cat >/dev/null
