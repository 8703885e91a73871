# Makes a server's directory, runs the server, and takes both away when the standard input ends: that is when whoever
# started this closes it, or is gone, in whatever way. The first line of the input is the superuser's password.
#
# arguments: the folder of the server's programs, the directory to make, the port
set -eu
programs=$1 directory=$2 port=$3
umask 077
mkdir "$directory"
exec >"$directory/log" 2>&1
trap 'rm -rf "$directory"' EXIT
IFS= read -r password
printf '%s\n' "$password" >"$directory/password"
"$programs/initdb" --pgdata="$directory/data" --username=postgres --pwfile="$directory/password" \
    --auth=password --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions
# Nothing here has to outlive the machine.
"$programs/postgres" -D "$directory/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c fsync=off -c full_page_writes=off -c shared_buffers=64MB -c max_connections=400 -c jit=off &
server=$!
read -r _ || true
kill -QUIT "$server" || true
wait "$server" || true
