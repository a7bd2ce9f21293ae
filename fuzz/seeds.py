"""Where fuzzing begins: what the tests and the dialects have of each kind of input.

python3 fuzz/seeds.py DIRECTORY writes a folder for each target.
"""

import hashlib
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SEEDS = pathlib.Path(sys.argv[1])


def add(target, seed):
    seed = seed.encode() if isinstance(seed, str) else seed
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


def files(pattern):
    found = sorted(ROOT.glob(pattern))
    assert found, f"nothing is at {pattern}: say in {__file__} where it is now"
    return [path.read_text() for path in found]


def sent(case):
    """The bytes that a case of the gate sends: `\\r\\n` and `\\*3{ab}` stand for more."""
    text = "".join(re.findall(r"^> ?(.*)$", case, re.M))
    text = re.sub(r"\\\*(\d+)\{(.*?)\}", lambda it: it[2] * min(int(it[1]), 64), text)
    escapes = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
    return re.sub(r"\\([rnt0\\])", lambda it: escapes[it[1]], text)


for cases in files("crates/transport/tests/socket/gate/*.txt"):
    for case in cases.split("\n\n"):
        if request := sent(case):
            add("request_head", request)
            add("framing", request)

for line in "".join(files("crates/transport/src/proxy_protocol/cases.txt")).splitlines():
    if not line.startswith("#"):
        digits = line.split(" | ")[1].replace("SIGNATURE", "0d0a0d0a000d0a515549540a")
        add("proxy_header", bytes.fromhex(digits) + b"GET")

GET = ":method\tGET\n:scheme\thttp\n:path\t/a?b=c\n"
for rest in [
    ":authority\th:80",
    "host\th",
    ":authority\th\ncookie\ta=b\ncookie\tc=d",
    ":authority\th\ncontent-length\t0\nexpect\t100-continue",
    ":authority\th\nte\ttrailers\nx\t y ",
    ":authority\th\nconnection\tclose",
]:
    add("http2_head", GET + rest)
add("http2_head", ":method\tCONNECT\n:authority\th:1")
add("http2_head", ":method\tOPTIONS\n:scheme\thttps\n:path\t*\n:authority\t[::1]")

for source in (
    files("dialects/*/dialect.toml")
    + files("crates/dialect/tests/catalogue/*.toml")
    + files("crates/dialect/tests/bad/*.toml")
):
    add("dialect_file", source)
    for template in re.findall(r"'(\{.*?\})'", source):
        body = re.sub(r"\{[a-z_.:?0-9]+\}", "value", template)
        add("dialect_template", f"{template}\n---\n{body}")

for exchanges in files("dialects/*/examples/*.http") + files("crates/dialect/tests/catalogue/*.http"):
    add("dialect_exchange", exchanges)
    for exchange in re.split(r"^(?=### )", exchanges, flags=re.M):
        if exchange:
            add("dialect_exchange", exchange)

for at, length, text in [(0, 0, ""), (3, 1, "A"), (200, 9999, "."), (0, 9999, "e30.e30.c2ln")]:
    add("token", text.encode() + bytes(2) + at.to_bytes(2, "little") + length.to_bytes(2, "little"))

for lines in [
    "0for=192.0.2.60;proto=http;by=203.0.113.43",
    '0for="[2001:db8:cafe::17]:4711", for=10.0.0.2',
    "0for=unknown, for=_hidden\nfor=10.1.2.3",
    "1203.0.113.7, 10.0.0.2",
    "12001:db8::1\n10.0.0.3",
    "1[2001:db8::1]:80, ::ffff:10.0.0.1",
]:
    add("client_address", lines)

for source in files("crates/domain/src/path.rs") + files("crates/transport/tests/socket/gate/target.txt"):
    for path in re.findall(r'"(/[^"\\]*)"', source) + re.findall(r"GET (/\S*) HTTP", source):
        add("path", path)

for source in files("crates/cli/src/config/*.toml"):
    add("configuration", source)

for source in files("crates/client/src/profile/mistakes.toml") + files("crates/client/src/profile/tests.rs"):
    for profiles in [source] + re.findall(r'"(\[[a-z][^"]*)"', source):
        add("profiles_file", profiles)
add(
    "profiles_file",
    '[pay]\ndialect = "b2binpay"\nurl = "https://api.example/v"\nlogin = "ann"\n'
    'secret_command = ["pass", "show", "pay"]\nstore = "file"\nstore_dir = "/var/lib/pay"\n'
    'store_key_env = "K"\nbudget = 40\nproxy = "http://u:p@proxy:3128"\nallow = ["GET /x", "/y/*"]\n'
    'key_file = "k"\nlisten = "127.0.0.1:8090"\n',
)

HELD = (
    '"held":{"access_token":"a","refresh_token":"r","asked_at":1,"expires_at":2,'
    '"refresh_expires_at":3,"told_expires_at":2,"logged_in_at":1,"client_id":7,"login":"l",'
    '"extra":{"team":"t"}}'
)
TROUBLE = (
    '"trouble":{"operation":"refresh","refusal":"bad_refresh","status":401,"detail":"d","at":1,'
    '"times":1,"refused":1,"secrets":0,"retry_at":9,"secret":[1,2,3,4,5,6,7,8]}'
)
add("session_file", '{"serial":1}')
add("session_file", '{"serial":2,%s,"attempt":{"operation":"refresh","asked_at":5}}' % HELD)
add("session_file", '{"serial":3,%s,%s}' % (HELD, TROUBLE))
add("session_file", b"CSSN\x02" + bytes(40))
add("session_file", b"CSSN\x01" + bytes(60))
