"""A program behind the card's protocol that talks through the sidecar, up to
eight calls at once:

    countersign sandbox b2binpay --card -- python3 docs/integrators/card/sidecar.py

For a client of your own, put it in the place of `call`, and leave out the rest.
"""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

PROFILE = """[vendor]
dialect = "{COUNTERSIGN_SANDBOX_DIALECT}"
variant = "{COUNTERSIGN_SANDBOX_VARIANT}"
url = "{COUNTERSIGN_SANDBOX_URL}"
login = "{COUNTERSIGN_SANDBOX_LOGIN}"
secret_env = "COUNTERSIGN_SANDBOX_SECRET"
store = "memory"
"""


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def call(path, method, target):
    """Makes one call; gives the line that answers it."""
    connection = Connection(path)
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except OSError as error:
        return f"error {error}"
    finally:
        connection.close()
    # What the sidecar itself has to say is a problem document (RFC 9457).
    if answer.headers.get_content_type() == "application/problem+json":
        return f"error {' '.join(body.split())}"
    return f"ok {answer.status}"


def listens(path):
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def answer(path, line):
    _, method, target = line.split()
    # In one piece: calls answer at once.
    sys.stdout.write(call(path, method, target) + "\n")
    sys.stdout.flush()


def main():
    with tempfile.TemporaryDirectory() as work:
        path, profiles = os.path.join(work, "vendor.sock"), os.path.join(work, "profiles.toml")
        with open(profiles, "w") as file:
            file.write(PROFILE.format(**os.environ))
        os.chmod(profiles, 0o600)
        sidecar = subprocess.Popen(
            ["countersign", "sidecar", f"vendor={path}", "--profiles", profiles],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        while not listens(path) and sidecar.poll() is None:
            time.sleep(0.02)
        print("can parallel", flush=True)
        with ThreadPoolExecutor(8) as pool:
            for line in sys.stdin:
                pool.submit(answer, path, line)
        sidecar.terminate()
        sidecar.wait()


main()
