"""Nodes: real processes on free ports, ended by whoever started them."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

BARD = os.environ["BARD_BIN"]
# How long anything may take that should happen soon, in seconds.
PATIENCE = 20


def until(what, condition, patience=PATIENCE):
    """Waits for a condition, and answers with what it gave. `what` says what it waits for, or is called to say it once it was in vain."""
    end = time.monotonic() + patience
    while True:
        given = condition()
        if given:
            return given
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience} s: {what() if callable(what) else what}")
        time.sleep(0.02)


class Node:
    """A node with a data directory of its own."""

    def __init__(self, *options, port=0):
        self.home = tempfile.TemporaryDirectory(prefix="bard-page-")
        self.options = options
        self.process = None
        self.start(port)

    def start(self, port=0):
        """Starts it, or starts it anew: with what it had."""
        data = pathlib.Path(self.home.name, "data")
        command = [BARD, "node", "--no-mdns", "--no-upnp", "--no-console", "--port", str(port), "--listen", "/ip4/127.0.0.1/tcp/0",
                   "--data-dir", str(data), *self.options]
        environment = {"PATH": os.environ["PATH"], "HOME": self.home.name, "NO_COLOR": "1"}
        self.log = open(pathlib.Path(self.home.name, "log"), "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment)
        file = data / "node.json"
        until("the node listens", lambda: self.alive() and file.exists())
        self.file = json.loads(file.read_text())
        self.url = self.file["api"].rstrip("/")

    def alive(self):
        if self.process.poll() is not None:
            raise AssertionError(pathlib.Path(self.home.name, "log").read_text()[-2000:])
        return True

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def close(self):
        if self.process.poll() is None:
            self.stop()
        self.home.cleanup()

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def raw(self, path):
        """The bytes of an answer."""
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.url}{path}", timeout=60) as answer:
            return answer.read()

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, **body):
        return self.call("POST", path, body)

    def mine(self, blocks=1):
        return self.post("/api/v1/mine", blocks=blocks)["blocks"][-1]["hash"]

    def status(self):
        return self.get("/api/v1/status")

    def connect(self, other):
        self.post("/api/v1/peers", address=other.url)
        until("both are connected", lambda: self.status()["peers"] > 0 and other.status()["peers"] > 0)

    def agree(self, other):
        until("both have the same tip", lambda: self.status()["tip"] == other.status()["tip"])
