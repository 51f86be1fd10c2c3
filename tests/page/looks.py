"""How the page looks and whether everybody can use it: in each view, at three widths, in both languages."""

from lesson import VIEWS, WIDTHS, Case, lesson


class Looks(Case):
    def test_everybody_can_use_every_view(self):
        node, other = self.node(), self.node()
        lesson(node, other)
        browser = self.browser
        for language in ["en", "de"]:
            for dark in [False, True]:
                # Colours do not depend on the width, nor widths on the colours.
                width, height = WIDTHS[0] if dark else WIDTHS[1]
                browser.size(width, height, dark)
                browser.open(node)
                browser.run("localStorage.setItem('language', arguments[0])", language)
                browser.open(node)
                for view in VIEWS:
                    browser.go(view)
                    self.assertEqual(browser.violations(), [], f"{view}, {language}, dark: {dark}, {width} wide")
                    over = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
                    self.assertLessEqual(over, 0, f"{view} is wider than {width}, {language}")
        # Also while a mistake is told, and while a word is explained.
        browser.go("do")
        browser.fill("pay", **{"from": "alice", "to": "bob", "amount": "999999999"})
        self.assertEqual(browser.violations(), [])
        browser.go("block/1")
        browser.run("arguments[0].focus()", browser.find("button.word"))
        browser.find("[role=tooltip]")
        self.assertEqual(browser.violations(), [])
        browser.run("localStorage.clear()")
        refused = [one for one in browser.trouble() if "wallet/transfer" not in one]
        self.assertEqual(refused, [])

    def test_nothing_is_cut_or_sticks_out(self):
        node, other = self.node(), self.node()
        lesson(node, other)
        long = "the-very-long-name-of-the-second-best-projector-in-room-no-204-b"
        node.post(f"/api/v1/wallet/items/{long}/request", **{"from": "alice"})
        paid = node.post("/api/v1/wallet/record", **{"from": "bob", "text": "0123456789abcdef" * 20})["id"]
        node.mine(1)
        other.agree(node)
        banned = self.node()
        node.connect(banned)
        node.post("/api/v1/bans", peer=banned.file["peer_id"], reason="sent the homework of another class")
        empty = self.node()
        browser = self.browser
        found = []
        # German is the longer of the languages.
        for language, widths in [("en", WIDTHS[:1]), ("de", WIDTHS)]:
            for width, height in widths:
                browser.size(width, height)
                browser.open(node)
                browser.run("localStorage.setItem('language', arguments[0])", language)
                browser.open(node)
                for view in [*VIEWS, f"item/{long}", f"tx/{paid}", "block/99999"]:
                    browser.go(view)
                    self.assertGreater(browser.count("main .card"), 0, view)
                    if view == f"tx/{paid}":
                        browser.click("[data-proof]")
                        browser.find("svg.proof")
                    found += [f"{view}, {language}, {width} wide: {one}" for one in browser.crowded()]
        self.assertEqual(found, [])
        # With nothing in it, and while nobody answers.
        browser.size(360, 740)
        browser.open(empty)
        for view in VIEWS[:-3]:
            browser.go(view)
            self.assertEqual(browser.crowded(), [], f"{view} of an empty node")
        browser.go("overview")
        empty.stop()
        browser.sees("does not answer", "body > .gone")
        self.assertEqual(browser.crowded(), [], "while the node is gone")
        browser.run("localStorage.clear()")

    def test_a_finger_hits_what_it_is_meant_to(self):
        node, other = self.node(), self.node()
        lesson(node, other)
        browser = self.browser
        browser.size(360, 740)
        browser.open(node)
        small = """
            return [...document.querySelectorAll('nav a, main button:not(.word), main a.button, main input:not([type=range]), main select')]
              .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 43)
              .map((one) => `${one.tagName} ${one.id} ${one.textContent}`);"""
        for view in VIEWS:
            browser.go(view)
            self.assertEqual(browser.run(small), [], view)
        # The menu is one line; where one is, is in sight.
        for view in ["overview", "records", "words"]:
            browser.go(view)
            box = browser.run("const one = document.querySelector('nav a[aria-current]').getBoundingClientRect(); return [one.left, one.right]")
            self.assertTrue(0 <= box[0] and box[1] <= 360, f"{view}: {box}")
