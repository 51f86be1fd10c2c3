"""What the checks have in common: what is in the nodes, which views there are, a browser for all checks of a class."""

import functools
import unittest

from browser import Browser
from node import Node

VIEWS = ["overview", "chain", "transactions", "accounts", "items", "records", "peers", "do", "lab", "words", "block/1", "item/camera", "account/alice"]
# A phone, a tablet, a laptop or projector.
WIDTHS = [(360, 740), (768, 1024), (1440, 900)]


def lesson(node, other):
    """Something of everything: a fork that was settled, payments, an item, a record, a peer."""
    node.mine(1)
    other.mine(2)
    node.connect(other)
    node.agree(other)
    node.post("/api/v1/wallet/transfer", **{"from": "alice", "to": "bob", "amount": 120})
    node.post("/api/v1/wallet/items/camera/request", **{"from": "alice"})
    node.post("/api/v1/wallet/record", **{"from": "carol", "text": "Meeting at noon"})
    node.mine(1)
    node.post("/api/v1/wallet/items/camera/transfer", **{"from": "alice", "to": "dave"})
    node.mine(1)
    node.post("/api/v1/wallet/transfer", **{"from": "bob", "to": "carol", "amount": 7})
    node.agree(other)


def kept(check):
    """A check that keeps what is to be seen when it fails, before anything is ended."""
    @functools.wraps(check)
    def run(self):
        try:
            check(self)
        except Exception:
            self.browser.keep(check.__name__)
            raise
    return run


class Case(unittest.TestCase):
    def __init_subclass__(cls):
        for name, check in list(vars(cls).items()):
            if name.startswith("test_"):
                setattr(cls, name, kept(check))

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.browser.size(1024, 768)
        self.browser.trouble()

    def tearDown(self):
        # Before its node is ended: a page that is open goes on asking.
        self.browser.driver.get("about:blank")

    def node(self, *options):
        node = Node(*options)
        self.addCleanup(node.close)
        return node
