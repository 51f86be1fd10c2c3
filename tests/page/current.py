"""What is shown is all there is, and stays so: long lists, blocks that are not there, what changes while one looks."""

from lesson import Case
from node import until


class Current(Case):
    def test_a_long_custody_is_shown_to_its_end(self):
        node = self.node()
        node.post("/api/v1/wallet/items/lamp/request", **{"from": "alice"})
        for n in range(104):
            one, other = ("alice", "bob") if n % 2 == 0 else ("bob", "alice")
            node.post("/api/v1/wallet/items/lamp/transfer", **{"from": one, "to": other})
        node.mine(1)
        browser = self.browser
        browser.open(node, "item/lamp")
        self.assertEqual(browser.count(".custody li"), 100)
        browser.click("div:has(> .custody) + button")
        until("all is shown", lambda: browser.count(".custody li") == 105)
        until("there is no more to ask for", lambda: browser.run("return document.querySelector('div:has(> .custody) + button').hidden"))
        self.assertEqual(browser.violations(), [])
