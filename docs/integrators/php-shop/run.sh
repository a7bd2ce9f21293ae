#!/usr/bin/env bash
# The shop against a vendor whose access tokens live for five seconds: twelve
# workers, one sidecar, one login, one refresh for each token, no call that fails
# and none with a token that has ended.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-12}

work=$(mktemp -d)
export COUNTERSIGN_SANDBOX=$work/sandbox.json
trap 'kill $(jobs -p); wait 2>/dev/null || true; rm -rf "$work"' EXIT
countersign sandbox mypopup --access 5s --manifest "$COUNTERSIGN_SANDBOX" >"$work/sandbox.log" &
until [ -s "$COUNTERSIGN_SANDBOX" ]; do kill -0 $! && sleep 0.05; done

field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$COUNTERSIGN_SANDBOX"; }
port=$(php -r '$bound = stream_socket_server("tcp://127.0.0.1:0");
    echo substr(strrchr(stream_socket_get_name($bound, false), ":"), 1);')
umask 077
field secret >"$work/secret"
cat >"$work/profiles.toml" <<TOML
[cards]
dialect = "mypopup"
url = "$(field url)"
login = "$(field login)"
secret_file = "$work/secret"
store = "memory"
listen = "127.0.0.1:$port"
allow = ["GET /api/v1/*"]
TOML
countersign sidecar cards --profiles "$work/profiles.toml" >"$work/sidecar.out" 2>"$work/sidecar.log" &
until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do kill -0 $! && sleep 0.05; done

php shop.php "http://127.0.0.1:$port" "$seconds"

# The sidecar refreshes at about two thirds of a token's life.
countersign sandbox ctl assert --logins 1 --max-refreshes $((seconds / 3)) --max-refused 0 --no-expired
