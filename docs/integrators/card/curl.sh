#!/bin/sh
# A MyPopUp client as scripts often have it, behind the card's protocol: it logs
# in, keeps the token, and logs in anew after a 401. See what the card makes of
# it:
#
#   countersign sandbox mypopup --card -- sh docs/integrators/card/curl.sh
set -u

login() {
    token=$(curl -s "$COUNTERSIGN_SANDBOX_URL/auth/login" -H 'Content-Type: application/json' -d @- <<JSON |
{"username": "$COUNTERSIGN_SANDBOX_LOGIN", "password": "$COUNTERSIGN_SANDBOX_SECRET"}
JSON
        sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p')
    [ -n "$token" ]
}

token=
while read -r _ method path; do
    if [ -z "$token" ] && ! login; then
        echo "error the login failed"
        continue
    fi
    status=$(curl -s -o /dev/null -w '%{http_code}' -X "$method" \
        -H "Authorization: Bearer $token" "$COUNTERSIGN_SANDBOX_URL$path")
    [ "$status" != 401 ] || token=
    echo "ok $status"
done
