"""What schemathesis is kept from asking for, and why. Everything else is asked as it comes."""

import os
import re

import requests
import schemathesis

MOST_BLOCKS = 3
REGISTERING = ["/update_peers", "/discover", "/nodes/register", "/register_node"]
PLACE = re.compile(r"(http://)?[^\s/:,]+:\d+/?")


def reachable(value):
    """The same with every address that is well-formed turned into that of the other node."""
    if isinstance(value, str) and PLACE.fullmatch(value.strip()):
        return os.environ["BARD_PEER"]
    if isinstance(value, list):
        return [reachable(one) for one in value]
    if isinstance(value, dict):
        return {name: reachable(one) for name, one in value.items()}
    return value


@schemathesis.hook
def before_call(context, case, kwargs):
    # As many blocks as are allowed, 100,000, take a machine many minutes: a few show the same.
    if (case.operation.method.upper(), case.operation.path) == ("POST", "/api/v1/mine") and isinstance(case.body, dict):
        blocks = case.body.get("blocks")
        if type(blocks) in (int, float) and MOST_BLOCKS < blocks <= 100_000:
            case.body = {**case.body, "blocks": MOST_BLOCKS}
    # A node that is registered and cannot be reached is waited for, 5 s, whenever conflicts are resolved.
    if case.operation.path in REGISTERING:
        case.body = reachable(case.body)


@schemathesis.hook
def after_call(context, case, response):
    # A miner that stays on takes the processors from everything else, and makes a chain of any length.
    if (case.operation.method.upper(), case.operation.path) == ("PUT", "/api/v1/mining") and response.status_code == 200:
        base = response.request.url.rsplit("/api/", 1)[0]
        requests.put(f"{base}/api/v1/mining", json={"enabled": False, "threads": 1}, timeout=30)
    # A node that is cut off, slow, or has a rival answers the calls after this one differently.
    if (case.operation.method.upper(), case.operation.path) == ("PUT", "/api/v1/lab") and response.status_code == 200:
        base = response.request.url.rsplit("/api/", 1)[0]
        requests.put(f"{base}/api/v1/lab", json={"apart": False, "delay_ms": 0, "rival": False}, timeout=30)
