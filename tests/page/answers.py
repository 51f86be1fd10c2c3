"""What the page makes of the node's answers: in which order they count, lists by the page, what was true as of a block."""

import time

from selenium.webdriver.common.keys import Keys

from lesson import Case, lesson
from node import until

# Of the answers about the node's status, every other one comes a while after the node gave it.
LATE = """
{
  const real = window.fetch;
  let n = 0;
  window.fetch = async (path, ...more) => {
    const answer = await real(path, ...more);
    if (String(path).endsWith('/status') && (n += 1) % 2 === 0) await new Promise((done) => setTimeout(done, 900));
    return answer;
  };
}
"""

# What a person does to empty a field.
EMPTY = [Keys.CONTROL + "a", Keys.NULL, Keys.BACKSPACE]


class Answers(Case):
    def test_no_older_answer_comes_after_a_newer_one(self):
        node = self.node()
        browser = self.browser
        late = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": LATE})
        self.addCleanup(browser.driver.execute_cdp_cmd, "Page.removeScriptToEvaluateOnNewDocument", late)
        browser.open(node)
        browser.run("""
            window.heights = [];
            const value = () => Number(document.querySelector('.tiles .value').textContent);
            new MutationObserver(() => heights.push(value())).observe(document.querySelector('.numbers'), {childList: true, subtree: true});""")
        # More often than late answers come.
        for _ in range(12):
            node.mine()
            time.sleep(0.2)
        until("the last block is told", lambda: browser.run("return heights.at(-1)") == 12)
        heights = browser.run("return heights")
        self.assertEqual(heights, sorted(heights))

    def test_another_choice_of_items_begins_the_list_anew(self):
        node = self.node()
        names = [f"key-{n:03}" for n in range(130)]
        for some in [names[:65], names[65:]]:
            node.post("/api/v1/wallet/items/request", **{"from": "alice", "items": some})
        node.mine()
        for name in [names[3], names[120]]:
            node.post(f"/api/v1/wallet/items/{name}/release", **{"from": "alice"})
        node.mine()
        browser = self.browser
        browser.open(node, "items")
        row = "main tbody tr"
        until("a page is there", lambda: browser.count(row) == 50)
        browser.click("main button.plain")
        until("two pages are there", lambda: browser.count(row) == 100)

        def choose(state):
            browser.run("const one = document.querySelector('#state'); one.value = arguments[0]; one.dispatchEvent(new Event('change'))", state)

        choose("available")
        until("those that are free are there", lambda: browser.count(row) == 2)
        choose("reserved")
        until("the first page of those that are held is there", lambda: browser.count(row) == 50)
        for count in [100, 128]:
            browser.click("main button.plain")
            until("the next page is there", lambda: browser.count(row) == count)
        shown = browser.texts("main tbody a[href^='#/item/']")
        self.assertEqual(shown, [name for name in names if name not in (names[3], names[120])])
        self.assertFalse(browser.run("return document.querySelector('main button.plain').checkVisibility()"), "there are no more")

    def test_an_account_and_an_item_are_shown_as_of_a_block(self):
        node, other = self.node(), self.node()
        lesson(node, other)
        browser = self.browser
        browser.open(node, "account/alice")
        numbers = "main .facts"
        then = node.get("/api/v1/accounts/alice?height=1")["balance"]
        now = node.get("/api/v1/accounts/alice")["balance"]
        self.assertNotEqual(now, then)
        browser.sees(f"{now:,}", numbers)
        self.assertIn("After the pool", browser.text(numbers))
        field = browser.find("#as-of")
        field.send_keys("1")
        browser.sees("After block 1")
        browser.sees(f"{then:,}", numbers)
        self.assertNotIn("After the pool", browser.text(numbers))
        # What happens now changes nothing then.
        node.mine()
        browser.sees(f"{then:,}", numbers)
        self.assertEqual(browser.violations(), [])
        field.send_keys("000")
        browser.sees("There is no such thing.")
        field.send_keys(*EMPTY)
        browser.sees(f"{now:,}", numbers)
        self.assertNotIn("no such thing", browser.text())
        # An item: taken in block 3, handed on in block 4.
        browser.go("item/camera")
        browser.sees("Held by dave.")
        self.assertEqual(browser.count(".custody li"), 2)
        field = browser.find("#as-of")
        field.send_keys("3")
        browser.sees("After block 3: Held by alice.")
        self.assertEqual(browser.count(".custody li"), 1)
        self.assertEqual(browser.count("[data-form=hand]"), 1, "what can be done is of now")
        field.send_keys(*EMPTY, "1")
        browser.sees("nobody had ever held")
        field.send_keys(*EMPTY)
        until("it is of now", lambda: browser.text("main .lead") == "Held by dave." and browser.count(".custody li") == 2)
