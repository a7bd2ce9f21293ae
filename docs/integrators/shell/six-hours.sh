#!/usr/bin/env bash
# Six hours with B2BINPAY in some seconds, from a shell: the sandbox plays the
# vendor, and `countersign request` keeps the tokens. Fails if a call does, or if
# the vendor was asked for more than it had to be.
set -euo pipefail

work=$(mktemp -d)
export XDG_CONFIG_HOME=$work XDG_STATE_HOME=$work # nothing stays behind
export COUNTERSIGN_SANDBOX=$work/sandbox.json     # where `sandbox ctl` finds it
export COUNTERSIGN_PROFILES=$work/profiles.toml

countersign sandbox b2binpay --manifest "$COUNTERSIGN_SANDBOX" >"$work/sandbox.log" &
sandbox=$!
trap 'kill $sandbox; wait $sandbox 2>/dev/null || true; rm -rf "$work"' EXIT
until [ -s "$COUNTERSIGN_SANDBOX" ]; do kill -0 $sandbox && sleep 0.05; done

field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$COUNTERSIGN_SANDBOX"; }
umask 077
field secret >"$work/secret"
cat >"$COUNTERSIGN_PROFILES" <<TOML
[pay]
dialect = "b2binpay"
url = "$(field url)"
login = "$(field login)"
secret_file = "$work/secret"
TOML

deposits() {
    countersign request pay GET '/deposit/?page=1' >"$work/deposits"
}

# The first call logs in, the next one uses the same token.
deposits
deposits
countersign sandbox ctl assert --logins 1 --refreshes 0 --no-expired

# The access token ends, and the reply to the refresh is lost.
countersign sandbox ctl fault lost_reply --on refresh
countersign sandbox ctl advance 5m
deposits
countersign sandbox ctl assert --logins 1 --max-refreshes 1

# Six hours later the refresh token has ended too.
countersign sandbox ctl advance 6h
deposits
countersign sandbox ctl assert --logins 2 --max-refreshes 1
