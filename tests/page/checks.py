"""What the page at `/` does, seen in a browser.

    checks.py                    all checks
    checks.py NAME...            some, as `Page.test_five_steps` or `Looks`
    checks.py --pictures DIR     a picture of each view, at three widths, light and dark
"""

import base64
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from answers import Answers  # Its checks are run with those below, and so are those of what is current and of the looks.
from browser import Browser
from current import Current
from lesson import VIEWS, WIDTHS, Case, lesson
from looks import Looks
from node import BARD, Node, until

# What a first visit may load, in bytes.
FIRST_LOAD = 150 << 10


class Page(Case):
    def test_five_steps(self):
        node, other = self.node(), self.node()
        browser = self.browser
        browser.open(node, "do")
        self.assertIn(other.file["peer_id"], browser.fill("register", address=other.url))
        self.assertIn("waits in the pool", browser.fill("pay", **{"from": "alice", "to": "bob", "amount": "10"}))
        self.assertIn("Mined block 1", browser.fill("mine", blocks="1"))
        self.assertIn("1 answered", browser.fill("sync"))
        node.agree(other)
        browser.go("chain")
        until("the list has both blocks", lambda: browser.count(".rows a[href^='#/block/']") == 2)
        browser.go("peers")
        browser.sees("same block")
        browser.sees("added by hand")
        browser.sees("UPnP is off")
        browser.sees("listen on more than loopback")
        # A mistake is told in plain words.
        browser.go("do")
        self.assertIn("has 249990 and spends 999999999", browser.fill("pay", **{"from": "alice", "to": "bob", "amount": "999999999"}))
        self.assertIn("host:port", browser.fill("register", address="nowhere").lower())

    def test_a_block_mined_elsewhere_appears_within_a_second(self):
        node, other = self.node(), self.node()
        node.connect(other)
        browser = self.browser
        browser.open(node)
        browser.sees("In agreement with its one peer")
        browser.run("window.same = true")
        took = []
        for _ in range(3):
            tip = other.mine()
            began = time.monotonic()
            browser.find(f".tree [data-key='{tip}']")
            took.append(time.monotonic() - began)
        # What else the machine does may hold up one of them, but not each.
        self.assertLess(min(took), 1, took)
        until("the news tells of them", lambda: browser.count(".news .block") >= 3)
        browser.sees("In agreement with its one peer")
        self.assertTrue(browser.run("return window.same"), "the page was not loaded anew")
        self.assertEqual(browser.trouble(), [])

    def test_a_fork_and_its_reorganisation_are_drawn(self):
        node, other = self.node(), self.node()
        lost = node.mine(1)
        won = other.mine(2)
        browser = self.browser
        browser.open(node)
        browser.find(f".tree .active[data-key='{lost}']")
        node.connect(other)
        browser.find(f".tree .stale[data-key='{lost}']")
        browser.find(f".tree .active[data-key='{won}']")
        browser.sees("Reorganisation: another branch had more work.", ".told")
        browser.sees("After block 0 the chain forked: one block lies beside it.", ".told")
        browser.sees("Reorganisation after block 0: 1 out, 2 in.", ".news")

    def scrolled(self):
        """What a frame costs the page while all of the list of blocks is scrolled through, in ms of a processor: not of the clock,
        so that it does not matter what else the machine does."""
        driver = self.browser.driver

        def busy():
            return {one["name"]: one["value"] for one in driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]}["TaskDuration"]

        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        before = busy()
        driver.execute_async_script("""
            const done = arguments[0];
            const list = document.querySelector('.list');
            const step = (list.scrollHeight - list.clientHeight) / 120;
            let left = 120;
            const frame = () => {
              list.scrollTop += step;
              left -= 1;
              if (left > 0) requestAnimationFrame(frame);
              else done();
            };
            requestAnimationFrame(frame);""")
        return 1000 * (busy() - before) / 120

    def test_ten_thousand_blocks_scroll_smoothly(self):
        with tempfile.TemporaryDirectory() as place:
            spec = pathlib.Path(place, "easy.toml")
            subprocess.run([BARD, "chain", "new", "--name", "easy", "--preset", "demo", "--difficulty", "2", "--fixed", "--out", str(spec),
                            "--data-dir", str(pathlib.Path(place, "data"))], check=True, capture_output=True, stdin=subprocess.DEVNULL)
            node = self.node("--chain", str(spec))
        node.mine(10_000)
        browser = self.browser
        browser.open(node, "chain")
        browser.sees("10,000", ".rows")
        # At 60 frames a second each has 16.7 ms.
        self.assertLess(self.scrolled(), 16.7)
        until("the first block is in sight", lambda: "0" in browser.texts(".rows .height"))
        self.assertLess(browser.count(".rows .row"), 60, "only the rows in sight are there")
        field = browser.find("#to-height")
        field.clear()
        field.send_keys("5000", Keys.ENTER)
        browser.sees("5,000", ".rows")

    def test_what_strangers_write_stays_text(self):
        node = self.node()
        evil = "<script>window.evil = 1</script><img src=x onerror=\"window.evil = 2\">"
        node.post("/api/v1/wallet/record", **{"from": "alice", "text": evil})
        node.post("/api/v1/wallet/items/%3Cb%3Ebold/request", **{"from": "alice"})
        node.mine(1)
        browser = self.browser
        for view in ["records", "transactions", "items", "item/%3Cb%3Ebold", "block/1", "overview", "account/alice"]:
            browser.open(node, view)
            if view not in ("overview", "items", "item/%3Cb%3Ebold"):
                browser.sees("<script>window.evil = 1</script>")
            if "item" in view:
                browser.sees("<b>bold")
            self.assertEqual(browser.count("main script, main img[src='x'], main b"), 0, view)
            self.assertIsNone(browser.run("return window.evil ?? null"), view)
        self.assertEqual(browser.trouble(), [])

    def test_the_page_recovers_when_the_node_comes_back(self):
        node = self.node()
        browser = self.browser
        browser.open(node)
        browser.sees("live", ".alive")
        browser.run("window.same = true")
        port = node.port
        node.stop()
        browser.sees("gone", ".alive")
        browser.sees("does not answer", ".gone")
        node.start(port)
        browser.sees("live", ".alive")
        until("nothing is said to be gone", lambda: browser.text(".gone") == "")
        tip = node.mine()
        browser.find(f".tree [data-key='{tip}']")
        self.assertTrue(browser.run("return window.same"), "the page was not loaded anew")

    def test_a_file_goes_on_record_and_is_verified(self):
        node = self.node()
        browser = self.browser
        with tempfile.NamedTemporaryFile(suffix=".bin") as file:
            file.write(bytes(range(256)) * 9_000)
            file.flush()
            digest = subprocess.run(["sha256sum", file.name], check=True, capture_output=True, text=True).stdout[:64]
            browser.open(node, "records")
            browser.find("#file").send_keys(file.name)
            browser.sees(digest)
            browser.sees("not on record")
            self.assertIn("waits in the pool", browser.fill("notarise", **{"from": "alice"}))
            browser.find("#file").send_keys(file.name)
            browser.sees("waits in the pool")
            node.mine()
            browser.find("#file").send_keys(file.name)
            browser.sees("Verified: this very file is on record.")

    def test_a_copy_that_is_tampered_with_breaks(self):
        node = self.node()
        node.post("/api/v1/wallet/transfer", **{"from": "alice", "to": "bob", "amount": 120})
        node.mine(2)
        browser = self.browser
        browser.open(node, "block/1")
        browser.sees("every hash holds")
        self.assertEqual(browser.count("#tamper table .bad"), 0)
        browser.click("#tamper button")
        browser.sees("✕ Tampered with")
        broken = browser.text("#tamper table")
        self.assertRegex(broken, r"Hash of the header[^✓✕]*[✓✕] breaks")
        self.assertRegex(broken, r"Block 2 points here[^✓✕]*[✓✕] breaks")
        self.assertRegex(broken, r"Root over the transactions[^✓✕]*[✓✕] holds")
        browser.click("#tamper button.plain")
        browser.sees("every hash holds")
        field = browser.find("#place")
        field.clear()
        field.send_keys("210")
        browser.sees("Byte 210 belongs to: transactions.")
        browser.click("#tamper button")
        browser.sees("breaks", "#tamper table")
        self.assertRegex(browser.text("#tamper table"), r"Id of transaction 1[^✓✕]*[✓✕] breaks")

    def test_a_proof_is_drawn_and_checked(self):
        node = self.node()
        ids = [node.post("/api/v1/wallet/transfer", **{"from": "alice", "to": "bob", "amount": n + 1})["id"] for n in range(5)]
        browser = self.browser
        browser.open(node, f"tx/{ids[0]}")
        browser.sees("no block has it yet")
        self.assertEqual(browser.count("[data-proof]"), 0)
        tip = node.mine()
        order = [one["id"] for one in node.get(f"/api/v1/blocks/{tip}")["transactions"]]
        # Of five, the last has one hash beside its way, all others three.
        for one, steps in [(order[0], 3), (order[2], 3), (order[4], 1)]:
            browser.open(node, f"tx/{one}")
            browser.click("[data-proof]")
            browser.sees("the way leads to the root in the header")
            self.assertEqual(browser.count("svg.proof g.beside"), steps)
            self.assertEqual(browser.violations(), [])
        # A wrong proof is found out: one hash of it is another.
        spoil = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": """
            const real = window.fetch;
            window.fetch = async (path, ...more) => {
              const answer = await real(path, ...more);
              if (!String(path).endsWith('/proof')) return answer;
              const proof = await answer.json();
              proof.path[0] = proof.path[0].replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
              return new Response(JSON.stringify(proof));
            };"""})
        self.addCleanup(browser.driver.execute_cdp_cmd, "Page.removeScriptToEvaluateOnNewDocument", spoil)
        browser.open(node, f"tx/{order[2]}")
        browser.click("[data-proof]")
        browser.sees("the node gave a wrong proof")

    def test_a_file_is_checked_against_a_receipt(self):
        node = self.node()
        browser = self.browser
        with tempfile.TemporaryDirectory() as place:
            file, other, receipt, broken = [pathlib.Path(place, name) for name in ["a.pdf", "b.pdf", "a.receipt", "broken.receipt"]]
            file.write_bytes(bytes(range(256)) * 500)
            other.write_bytes(b"something else")
            digest = subprocess.run(["sha256sum", file], check=True, capture_output=True, text=True).stdout[:64]
            node.mine(2)
            node.post("/api/v1/wallet/transfer", **{"from": "bob", "to": "carol", "amount": 3})
            one = node.post("/api/v1/wallet/record", **{"from": "alice", "text": digest})["id"]
            node.mine(3)
            receipt.write_bytes(node.raw(f"/api/v1/transactions/{one}/receipt"))
            damaged = bytearray(receipt.read_bytes())
            damaged[-1] ^= 1
            broken.write_bytes(damaged)
            browser.open(node, "records")

            def check(document, proof):
                browser.find("#check-file").send_keys(str(document))
                browser.find("#check-receipt").send_keys(str(proof))
                browser.click(".check button")
                until("it is checked", lambda: browser.count(".check .verdict") == 1 and browser.count(".check progress") == 0)
                return browser.text(".check [role=status]")

            told = check(file, receipt)
            for line in ["The receipt is for this very file.", "block 3 of the chain \"dev\"", "✓ The record in it is the SHA-256 digest",
                         "✓ The transaction is in block 3", "✓ 5 headers follow one another", "✓ This node has block 3", "bard verify-receipt"]:
                self.assertIn(line, told)
            self.assertEqual(browser.violations(), [])
            told = check(other, receipt)
            self.assertIn("does not show what it should", told)
            self.assertIn("✕ The record in it is neither this file nor its digest", told)
            self.assertIn("one does not show its work", check(file, broken))
            self.assertIn("This is no receipt", check(file, other))

    def test_what_another_switches_in_the_laboratory_is_told(self):
        node = self.node()
        browser = self.browser
        browser.open(node)
        until("the page knows of the laboratory", lambda: browser.run("return performance.getEntriesByName(`${location.origin}/api/v1/lab`).length") > 0)
        node.call("PUT", "/api/v1/lab", {"apart": True, "delay_ms": 500})
        browser.sees("The laboratory is on: this node is cut off, its link is slow (0.5 s).", "body > .lab")
        browser.sees("this node is cut off", ".news .lab")
        node.call("PUT", "/api/v1/lab", {"apart": False, "delay_ms": 0})
        until("nothing is on", lambda: browser.text("body > .lab") == "")
        browser.sees("The laboratory is off.", ".news")
        # By the events alone: it asked once, when it was opened.
        self.assertEqual(browser.run("return performance.getEntriesByName(`${location.origin}/api/v1/lab`).length"), 1)

    def test_the_laboratory_makes_forks_and_heals_them(self):
        node, other = self.node(), self.node()
        node.connect(other)
        browser = self.browser
        browser.open(node, "lab")
        browser.find("[data-switch=apart]:not(:disabled)").send_keys(Keys.SPACE)
        browser.sees("Cut off: nothing comes in, nothing goes out.")
        browser.sees("The laboratory is on: this node is cut off.", "body > .lab")
        lost, won = node.mine(1), other.mine(2)
        browser.find(f".tree .active[data-key='{lost}']")
        browser.find(".network circle.unknown")
        self.assertEqual(browser.violations(), [])
        # It is told wherever one is.
        browser.go("overview")
        browser.click("body > .lab a")
        browser.click("[data-switch=apart]")
        browser.find(f".tree .stale[data-key='{lost}']")
        browser.find(f".tree .active[data-key='{won}']")
        browser.sees("Reorganisation: another branch had more work.", ".told")
        until("nothing is on", lambda: browser.text("body > .lab") == "")
        browser.run("const one = document.querySelector('#delay'); one.value = '2'; one.dispatchEvent(new Event('change'))")
        browser.sees("Everything is held back for 2 seconds.")
        self.assertEqual(node.get("/api/v1/lab")["delay_ms"], 2000)

    def test_a_rival_is_watched(self):
        node = self.node()
        browser = self.browser
        browser.open(node, "lab")
        browser.click("[data-switch=rival]")
        browser.sees("The rival mines on a branch of its own.")
        self.assertIn("Mined block", browser.fill("mine", blocks="1"))
        browser.sees("Reorganisation: another branch had more work.", ".told", 60)
        browser.click("[data-switch=rival]")
        browser.sees("There is no rival.")

    def test_there_is_no_laboratory_where_blocks_cost_something(self):
        with tempfile.TemporaryDirectory() as place:
            spec = pathlib.Path(place, "few.toml")
            subprocess.run([BARD, "chain", "new", "--name", "few", "--preset", "consortium", "--out", str(spec),
                            "--data-dir", str(pathlib.Path(place, "data"))], check=True, capture_output=True, stdin=subprocess.DEVNULL)
            node = self.node("--chain", str(spec))
        browser = self.browser
        browser.open(node, "lab")
        browser.sees("This chain is not for teaching")
        self.assertEqual(browser.count("[data-switch]:disabled, #delay:disabled"), 3)
        self.assertEqual(browser.violations(), [])

    def test_a_peer_is_banned_and_pardoned(self):
        node, other = self.node(), self.node()
        lesson(node, other)
        browser = self.browser
        browser.open(node, "peers")
        browser.sees("same block")
        browser.click("button[data-key^='ban ']")
        browser.sees("End the ban")
        browser.sees("banned by order")
        browser.sees("There are none.")
        self.assertEqual(browser.violations(), [])
        browser.click("button[data-key^='lift ']")
        until("nobody is banned", lambda: browser.count("button[data-key^='lift ']") == 0)
        until("they meet again", lambda: browser.count("button[data-key^='ban ']") == 1)

    def test_a_refusal_is_told_in_german(self):
        node = self.node()
        browser = self.browser
        browser.open(node)
        browser.run("localStorage.setItem('language', 'de')")
        browser.open(node, "do")
        told = browser.fill("pay", **{"from": "alice", "to": "bob", "amount": "999999999"})
        self.assertIn("Das passt nicht zum jetzigen Stand der Kette", told)
        self.assertIn("Der Knoten sagt dazu, auf Englisch:", told)
        self.assertIn("spends 999999999", told)
        self.assertEqual(browser.count(".answer [lang=en]"), 1)
        browser.run("localStorage.clear()")

    def test_an_item_has_a_label_and_its_custody(self):
        node, other = self.node(), self.node()
        lesson(node, other)
        browser = self.browser
        browser.open(node, "item/camera")
        browser.sees("Held by dave")
        browser.sees("alice handed it on to dave")
        until("the label is drawn", lambda: browser.run("return document.querySelector('.label img').naturalWidth") > 0)
        self.assertTrue(browser.run("return new URL(document.querySelector('.label img').src).searchParams.get('origin') === location.origin"))
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        shown = "return document.querySelector(arguments[0]).checkVisibility()"
        printed = {one: browser.run(shown, one) for one in ["header", "h1", ".label button", ".label img", ".label figcaption"]}
        self.assertEqual([one for one, is_there in printed.items() if is_there], [".label img", ".label figcaption"])
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        self.assertIn("Signed", browser.fill("release"))
        node.mine()
        browser.sees("It is free.")

    def test_a_token_is_asked_for(self):
        node = self.node("--api-token", "a-secret-token")
        browser = self.browser
        browser.open(node, "do")
        browser.click("[data-form=mine] button")
        browser.find("dialog[open] input").send_keys("wrong", Keys.ENTER)
        browser.sees("not the token", "dialog[open]")
        browser.find("dialog[open] input").send_keys("a-secret-token", Keys.ENTER)
        browser.sees("Mined block 1")
        self.assertEqual(node.status()["height"], 1)

    def test_mining_on_and_on(self):
        node = self.node()
        browser = self.browser
        browser.open(node, "do")
        browser.click("[data-switch=mining]")
        until("it mines", lambda: node.status()["mining"]["enabled"])
        browser.sees("Stop mining")
        browser.click("[data-switch=mining]")
        until("it rests", lambda: not node.status()["mining"]["enabled"])
        browser.sees("Start mining")

    def test_the_keyboard_is_enough(self):
        node = self.node()
        browser = self.browser
        browser.open(node)
        browser.find("body").send_keys(Keys.TAB)
        self.assertEqual(browser.run("return document.activeElement.textContent"), "Skip to the content")
        browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
        self.assertEqual(browser.run("return document.activeElement.tagName"), "H1")
        browser.find("nav a[href='#/chain']").send_keys(Keys.ENTER)
        until("the heading of the view has the focus", lambda: browser.run("return document.querySelector('h1:focus')?.textContent") == "The chain")
        browser.go("block/0")
        word = browser.find("button.word")
        browser.run("arguments[0].focus()", word)
        browser.sees("fingerprint of data", "[role=tooltip]")
        word.send_keys(Keys.ESCAPE)
        until("the explanation is gone", lambda: browser.count("[role=tooltip]") == 0)

    def test_a_first_visit_is_small_and_asks_nobody_else(self):
        node = self.node()
        browser = self.browser
        browser.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        browser.open(node)
        browser.sees("No peers yet")
        loads = browser.run("return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
                            ".map((one) => [one.name, one.decodedBodySize])")
        self.assertLess(sum(size for _, size in loads), FIRST_LOAD, loads)
        self.assertEqual([name for name, _ in loads if not name.startswith(node.url)], [])


def pictures(place):
    """A picture of each view, to be looked at."""
    place.mkdir(parents=True, exist_ok=True)
    node, other, browser = Node(), Node(), Browser()
    try:
        lesson(node, other)
        for dark in [False, True]:
            for width, height in WIDTHS:
                browser.size(width, height, dark)
                for view in VIEWS:
                    browser.open(node, view)
                    time.sleep(1)
                    tall = min(4000, browser.run("return document.documentElement.scrollHeight"))
                    clip = {"x": 0, "y": 0, "width": width, "height": tall, "scale": 1}
                    shot = browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
                    name = f"{view.replace('/', '-')}-{width}-{'dark' if dark else 'light'}.png"
                    (place / name).write_bytes(base64.b64decode(shot["data"]))
    finally:
        for one in [browser, node, other]:
            one.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--pictures"]:
        pictures(pathlib.Path(sys.argv[2]))
    else:
        unittest.main(verbosity=2)
