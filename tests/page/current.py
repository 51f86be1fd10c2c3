"""What is shown is all there is, and stays so: long lists, blocks that are not there, what changes while one looks."""

import pathlib
import shutil
import subprocess

from selenium.webdriver.common.keys import Keys

from lesson import Case
from node import BARD, until


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

    def begun_later(self, height):
        """A node that began with the state of another at a height and has mined ten blocks since."""
        whole, late = self.node(), self.node()
        tip = whole.mine(height)
        data, snapshot = [str(pathlib.Path(whole.home.name, name)) for name in ["data", "state"]]
        begun = str(pathlib.Path(late.home.name, "data"))
        whole.stop()
        late.stop()
        shutil.rmtree(begun)
        for command in [["snapshot", snapshot, "--data-dir", data],
                        ["start-from-snapshot", snapshot, "--known-block", tip, "--data-dir", begun]]:
            subprocess.run([BARD, "chain", *command], check=True, capture_output=True, stdin=subprocess.DEVNULL)
        late.start()
        late.mine(10)
        return late

    def test_a_node_that_began_later_lists_what_it_has(self):
        node = self.begun_later(120)
        self.assertEqual((node.status()["height"], node.status()["blocks_from"]), (130, 121))
        browser = self.browser
        browser.open(node, "chain")
        rows = "return [...document.querySelectorAll('.rows .row')].map((row) => [row.querySelector('.height').innerText, row.querySelector('.hash').innerText])"
        until("its ten blocks are listed", lambda: browser.count(".rows a[href^='#/block/']") == 10)
        shown = dict(browser.run(rows))
        self.assertNotIn(shown["121"], ["loading", "not on this node"])
        self.assertEqual(shown["120"], "not on this node")
        field = browser.find("#to-height")
        field.clear()
        field.send_keys("0", Keys.ENTER)
        until("the genesis block is listed", lambda: "loading" not in (told := dict(browser.run(rows))).get("0", "loading") and told["1"] == "not on this node")
        self.assertEqual(browser.trouble(), [], "what is not there is not asked for")

    def hide(self, is_hidden):
        """Has the page believe that it is hidden, or to be seen again."""
        self.browser.run("""
            Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});
            document.dispatchEvent(new Event('visibilitychange'));""", is_hidden)

    def test_what_happened_while_it_was_hidden_is_shown(self):
        node = self.node()
        paid = node.post("/api/v1/wallet/transfer", **{"from": "alice", "to": "bob", "amount": 5})["id"]
        browser = self.browser
        browser.open(node, f"tx/{paid}")
        browser.sees("no block has it yet")
        # No event has come yet, so there is none to go on after.
        self.hide(True)
        node.mine(1)
        self.hide(False)
        browser.sees("It is in block 1")

    def test_the_page_is_drawn_anew_once_for_a_node_that_was_started_anew(self):
        node = self.node()
        browser = self.browser
        browser.open(node)
        tip = node.mine(1)
        browser.find(f".tree [data-key='{tip}']")
        mark = "document.querySelector('.view').dataset.mark = 'seen'"
        browser.run(mark)
        port = node.port
        node.stop()
        browser.sees("gone", ".alive")
        node.start(port)
        browser.find(".view:not([data-mark]):not([aria-busy])")
        browser.sees("live", ".alive")
        browser.run(mark)
        self.hide(True)
        self.hide(False)
        tip = node.mine(1)
        browser.find(f".tree [data-key='{tip}']")
        until("the news tell of it", lambda: browser.count(".news .block") >= 2)
        self.assertEqual(browser.count(".view[data-mark=seen]"), 1, "it was drawn anew")

    def test_a_block_says_what_is_true_of_it_now(self):
        node, other = self.node(), self.node()
        lost = node.mine(1)
        other.mine(3)
        browser = self.browser
        browser.open(node, f"block/{lost}")
        browser.sees("This block is on the chain.")
        self.assertNotIn("next block", browser.text())
        following = node.mine(1)
        browser.find(f"nav.row a[href='#/block/{following}']")
        browser.click("#tamper button")
        browser.sees("Tampered with")
        browser.sees("Block 2 points here", "#tamper table")
        node.connect(other)
        browser.sees("This block lies beside the chain")
        until("no block follows it", lambda: browser.count(f"nav.row a[href='#/block/{following}']") == 0)
        browser.sees("Tampered with")
        self.assertEqual(browser.trouble(), [])

    def test_a_transaction_that_is_no_more_is_said_to_be_gone(self):
        node, other = self.node(), self.node()
        taken = node.post("/api/v1/wallet/items/lamp/request", **{"from": "alice"})["id"]
        node.mine(1)
        other.post("/api/v1/wallet/items/lamp/request", **{"from": "bob"})
        other.mine(2)
        browser = self.browser
        browser.open(node, f"tx/{taken}")
        browser.sees("It is in block 1")
        node.connect(other)
        browser.sees("no longer knows it")
        self.assertEqual(browser.count("[data-proof]"), 0)
