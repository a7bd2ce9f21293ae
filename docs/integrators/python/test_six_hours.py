"""Six hours with B2BINPAY in some seconds, from Python: the sandbox plays the
vendor, and the sidecar keeps the tokens. The program under test talks plain HTTP
to the sidecar and knows nothing of tokens.

    python3 -m unittest docs/integrators/python/test_six_hours.py
"""

import json
import os
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request


class Shop:
    """The program under test."""

    def __init__(self, url):
        self.url = url

    def deposits(self):
        with urllib.request.urlopen(self.url + "/deposit/?page=1", timeout=30) as reply:
            return json.load(reply)


class SixHours(unittest.TestCase):
    def setUp(self):
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        self.manifest = os.path.join(work.name, "sandbox.json")
        profiles = os.path.join(work.name, "profiles.toml")
        self.start("sandbox", "b2binpay", "--manifest", self.manifest)
        wait_until(lambda: os.path.exists(self.manifest))
        with open(self.manifest) as file:
            vendor = json.load(file)
        with open(profiles, "w") as file:
            print("[pay]", file=file)
            print('dialect = "b2binpay"', file=file)
            print('store = "memory"', file=file)
            print('secret_env = "PAY_SECRET"', file=file)
            print(f'url = "{vendor["url"]}"', file=file)
            print(f'login = "{vendor["login"]}"', file=file)
        os.chmod(profiles, 0o600)
        port = free_port()
        self.start(
            "sidecar", f"pay=127.0.0.1:{port}", "--profiles", profiles,
            env={**os.environ, "PAY_SECRET": vendor["secret"]},
        )
        wait_until(lambda: listens(port))
        self.shop = Shop(f"http://127.0.0.1:{port}")

    def start(self, *words, **options):
        process = subprocess.Popen(["countersign", *words], stdout=subprocess.DEVNULL, **options)
        self.addCleanup(process.wait, timeout=30)
        self.addCleanup(process.terminate)

    def ctl(self, *words):
        command = ["countersign", "sandbox", "ctl", *words, "--manifest", self.manifest]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def test_one_login_serves_many_calls(self):
        for _ in range(10):
            self.assertEqual(self.shop.deposits()["path"], "/deposit/")
        self.ctl("assert", "--logins", "1", "--refreshes", "0", "--no-expired")

    def test_a_lost_reply_costs_neither_a_call_nor_a_login(self):
        self.shop.deposits()
        self.ctl("fault", "lost_reply", "--on", "refresh")
        self.ctl("advance", "5m")
        self.shop.deposits()
        self.ctl("assert", "--logins", "1", "--refreshes", "1")

    def test_six_hours_later_it_logs_in_again(self):
        self.shop.deposits()
        self.ctl("advance", "6h")
        self.shop.deposits()
        self.ctl("assert", "--logins", "2", "--refreshes", "0")

    def test_a_vendor_that_is_down_costs_no_token(self):
        self.shop.deposits()
        self.ctl("fault", "status", "--status", "503", "--on", "guard")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.shop.deposits()
        refused.exception.close()
        self.assertEqual(refused.exception.code, 503)
        self.shop.deposits()
        self.ctl("assert", "--logins", "1", "--refreshes", "0")


def wait_until(condition):
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError("it does not start")


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    unittest.main()
