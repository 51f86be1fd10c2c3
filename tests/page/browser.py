"""A browser with no window, and what a person does in it."""

import pathlib
import shutil

import axe_playwright_python
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from node import until

AXE = pathlib.Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
# How long a script of a check may take, in seconds.
PATIENCE = 120
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# Looks at each element with text of its own. What scrolls by itself, and a list's cells that end in dots, may hold more than is seen.
CROWDED = """
const found = [];
const page = document.documentElement;
if (page.scrollWidth > page.clientWidth) found.push(`the page is ${page.scrollWidth} wide`);
const has = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '');
const name = (one) => `${one.tagName}.${one.getAttribute('class') ?? ''} ${one.textContent.trim().slice(0, 40)}`;
for (const one of document.querySelectorAll('header *, main *')) {
  if (!has(one) || one.closest('svg, option, .hidden, .skip, thead') || !one.checkVisibility()) continue;
  const box = one.getBoundingClientRect();
  const card = one.closest('.card, header, main').getBoundingClientRect();
  const scrolls = one.closest('.scroll, .picture, .content, .bytes, .list');
  if (!scrolls && (box.left < card.left - 1 || box.right > card.right + 1)) found.push(`sticks out: ${name(one)}`);
  const isCut = getComputedStyle(one).overflowX !== 'visible' && one.scrollWidth > one.clientWidth + 1;
  if (isCut && !one.matches('.miner, select, input, textarea')) found.push(`is cut: ${name(one)}`);
}
for (const text of document.querySelectorAll('main svg text')) {
  const box = text.getBoundingClientRect();
  const room = text.ownerSVGElement.getBoundingClientRect();
  if (box.left < room.left - 1 || box.right > room.right + 1 || box.bottom > room.bottom + 1) found.push(`out of its drawing: ${name(text)}`);
  const frame = text.parentNode.querySelector?.(':scope > rect')?.getBoundingClientRect();
  if (frame && (box.left < frame.left || box.right > frame.right)) found.push(`wider than its box: ${name(text)}`);
}
return found;
"""


class Browser:
    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        # In a namespace of its own there is no sandbox to be had, and nothing to be kept from.
        for one in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en", "--no-proxy-server",
                    "--disable-background-networking", "--disable-component-update"]:
            options.add_argument(one)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        # As long as on a machine that does much else beside.
        self.driver.set_script_timeout(PATIENCE)
        self.size(1024, 768)

    def close(self):
        self.driver.quit()

    def size(self, width, height, dark=False):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        # What is still moving has colours in between.
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme, still]})

    def open(self, node, view="overview"):
        """Loads the page anew, at a view."""
        self.driver.get("about:blank")
        self.driver.get(f"{node.url}/#/{view}")
        until(f"the view {view} is there", lambda: self.run("return document.querySelector('main h1')?.textContent"))

    def go(self, view):
        """Goes to a view without loading the page anew."""
        if self.run("return location.hash") == f"#/{view}":
            return
        self.run("location.hash = arguments[0]", f"#/{view}")
        until(f"the view {view} is there", lambda: self.run("return document.querySelector('main h1:focus')?.textContent"))

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        return until(selector, lambda: self.driver.find_elements(By.CSS_SELECTOR, selector))[0]

    def count(self, selector):
        return len(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def text(self, selector="main"):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def sees(self, text, selector="main", patience=20):
        until(f"{selector} says {text!r}; it says {self.text(selector)!r}", lambda: text in self.text(selector), patience)

    def fill(self, form, **fields):
        """Fills in a form and sends it; answers with what it says then."""
        root = self.find(f"[data-form={form}]")
        for name, value in fields.items():
            field = root.find_element(By.NAME, name)
            if field.tag_name == "select":
                self.run("arguments[0].value = arguments[1]", field, value)
            else:
                field.clear()
                field.send_keys(value)
        root.find_element(By.CSS_SELECTOR, "button").click()

        def answer():
            try:
                # In this order: what is said before the answer must not pass for it.
                is_answered = root.find_element(By.CSS_SELECTOR, "button").is_enabled()
                return root.find_element(By.CSS_SELECTOR, ".answer").text if is_answered else None
            except StaleElementReferenceException:
                return None

        return until(f"{form} is answered", answer)

    def crowded(self):
        """What of the view that is shown has no room: what is wider than the page or sticks out of its card, text that is cut, text of a
        drawing that is outside of its box or of the drawing."""
        return self.run(CROWDED)

    def trouble(self):
        """What the browser complained about since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def violations(self):
        """What axe-core finds wrong with what is shown."""
        self.run(AXE)
        found = self.driver.execute_async_script(
            "const done = arguments[1]; axe.run({runOnly: arguments[0]}).then((all) => done(all.violations.map("
            "(one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 200)).join(' | ')}`)), (error) => done([String(error)]))", RULES)
        return found
