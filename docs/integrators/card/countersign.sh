#!/bin/sh
# `countersign request` behind the card's protocol: each call is a process of its
# own, and the tokens are kept in a file.
#
#   countersign sandbox b2binpay --card -- sh docs/integrators/card/countersign.sh
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CONFIG_HOME="$work" XDG_STATE_HOME="$work" COUNTERSIGN_PROFILES="$work/profiles.toml"
umask 077
cat >"$COUNTERSIGN_PROFILES" <<TOML
[vendor]
dialect = "$COUNTERSIGN_SANDBOX_DIALECT"
variant = "$COUNTERSIGN_SANDBOX_VARIANT"
url = "$COUNTERSIGN_SANDBOX_URL"
login = "$COUNTERSIGN_SANDBOX_LOGIN"
secret_env = "COUNTERSIGN_SANDBOX_SECRET"
TOML

while read -r _ method path; do
    if countersign request -i vendor "$method" "$path" >"$work/answer" 2>"$work/error" ||
        [ -s "$work/answer" ]; then
        echo "ok $(sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p' "$work/answer")"
    else
        echo "error $(tr '\n' ' ' <"$work/error")"
    fi
done
