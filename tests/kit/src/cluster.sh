# Runs a private PostgreSQL cluster for as long as stdin stays open, then removes it. `$1` are settings for the server;
# a line `stop` (as a crash would), `start`, `standby` (a second server that has what is committed before anyone is told) or
# `promote` (it) on stdin is carried out and answered with the same word. The kernel closes the pipe however the owner ends, so
# not even `kill -9` leaves a server or a directory behind.
set -eu

fail() { echo "$1" >&2; exit 1; }

# Where the other programs are, even if only this one is linked to from the path.
bin=$(dirname "$(readlink -f "$(command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)")")
[ -x "$bin/initdb" ] || fail "no PostgreSQL server found: install the package \`postgresql\` (apt-get install postgresql) or set DATABASE_URL"

# PostgreSQL refuses to run as root.
if [ "$(id -u)" = 0 ]; then
    exec setpriv --reuid=postgres --regid=postgres --init-groups sh -c "$0" "$0" "$1"
fi

# Ctrl-C reaches the whole foreground group; the end of stdin is the only order taken here.
trap '' INT TERM HUP
cd /
dir=$(mktemp -d "${TMPDIR:-/tmp}/chancery-pg-XXXXXX")
trap 'for data in "$dir/data" "$dir/second"; do "$bin/pg_ctl" -D "$data" -m immediate stop || :; done >/dev/null 2>&1
    rm -rf "$dir"' EXIT

"$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 ||
    fail "initdb failed: $(cat "$dir/log")"
# No TCP port, so no two runs can collide.
start() {
    "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w start -o "-k '$dir' -c listen_addresses= $1" >/dev/null 2>&1 ||
        fail "postgres did not start: $(cat "$dir/log")"
}
start "$1"

standby() {
    "$bin/pg_basebackup" -h "$dir" -U postgres -D "$dir/second" -R -X stream -c fast >"$dir/log2" 2>&1 && mkdir "$dir/standby" &&
        "$bin/pg_ctl" -D "$dir/second" -l "$dir/log2" -w start -o "-k '$dir/standby' -c listen_addresses= $1" >/dev/null 2>&1 &&
        "$bin/psql" -q -h "$dir" -U postgres -c "ALTER SYSTEM SET synchronous_standby_names = '*'" \
            -c "ALTER SYSTEM SET synchronous_commit = remote_apply" -c "SELECT pg_reload_conf()" >/dev/null ||
        fail "the standby did not start: $(cat "$dir/log2")"
    until [ "$("$bin/psql" -Atq -h "$dir" -U postgres -c 'SELECT sync_state FROM pg_stat_replication')" = sync ]; do
        sleep 0.1
    done
}

echo "postgres://postgres@localhost/postgres?host=$dir"
while read -r order; do
    case $order in
    stop) "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1 || fail "postgres did not stop" ;;
    start) start "$1" ;;
    standby) standby "$1" ;;
    promote) "$bin/pg_ctl" -D "$dir/second" -w promote >/dev/null 2>&1 || fail "the standby was not promoted" ;;
    esac
    echo "$order"
done
