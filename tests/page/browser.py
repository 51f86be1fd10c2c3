"""A browser with no window, and what a person does in it."""

import pathlib
import shutil
import tempfile
import urllib.parse

import axe_playwright_python
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from node import until

AXE = pathlib.Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
# How long a script of a check may take, in seconds.
PATIENCE = 120
# How much of a page's text is told when a check has failed, in characters.
SHOWN = 4000
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

# Counts the answers that the page waits for. One counts until a moment after it is there, so that what follows from it is done.
ASKING = """
{
  window.asking = 0;
  const real = window.fetch;
  window.fetch = async (...all) => {
    window.asking += 1;
    const done = () => setTimeout(() => { window.asking -= 1; }, 30);
    try {
      const answer = await real(...all);
      answer.clone().arrayBuffer().then(done, done);
      return answer;
    } catch (error) {
      done();
      throw error;
    }
  };
}
"""

# Whether a view is whole and waits for nothing; the node was asked once for all that the page always shows.
SETTLED = """
const asked = new Set(performance.getEntriesByType('resource').map((one) => new URL(one.name).pathname));
return document.querySelector('.view')?.dataset.place === arguments[0] && document.querySelector('.view:not([aria-busy]) h1') !== null
  && ['node', 'peers', 'bans', 'forks', 'lab'].every((one) => asked.has(`/api/v1/${one}`)) && window.asking === 0;
"""

# Clicks the middle of something, if it is there, can be clicked, and nothing is above it. In one step, so that it is not drawn anew
# in between.
CLICK = """
const one = document.querySelector(arguments[0]);
if (one === null || one.disabled) return false;
one.scrollIntoView({block: 'center'});
const box = one.getBoundingClientRect();
const hit = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
if (!one.contains(hit)) return false;
one.focus({preventScroll: true});
one.click();
return true;
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
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": ASKING})
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
        self.settle(view)

    def go(self, view):
        """Goes to a view without loading the page anew."""
        if self.run("return location.hash") != f"#/{view}":
            self.run("location.hash = arguments[0]", f"#/{view}")
            until(f"the heading of {view} has the focus", lambda: self.run(
                "return document.querySelector('h1:focus')?.closest('.view').dataset.place === arguments[0]", urllib.parse.unquote(view)))
        self.settle(view)

    def settle(self, view):
        """Waits until a view shows all that it has."""
        until(f"the view {view} is there", lambda: self.run(SETTLED, urllib.parse.unquote(view)))

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        return until(selector, lambda: self.driver.find_elements(By.CSS_SELECTOR, selector))[0]

    def click(self, selector):
        """Clicks something as soon as it can be clicked."""
        until(f"{selector} can be clicked", lambda: self.run(CLICK, selector))

    def count(self, selector):
        return len(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def text(self, selector="main"):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def texts(self, selector):
        """The texts of all that a selector finds, at one moment."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)", selector)

    def sees(self, text, selector="main", patience=20):
        until(lambda: f"{selector} says {text!r}; it says {self.text(selector)!r}", lambda: text in self.text(selector), patience)

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

    def keep(self, name):
        """Keeps what is to be seen when a check has failed: the text in the log, and a picture."""
        try:
            with tempfile.NamedTemporaryFile(prefix=f"{name}-", suffix=".png", delete=False) as file:
                file.write(self.driver.get_screenshot_as_png())
            print(f"\n{name} failed at {self.driver.current_url}; a picture is in {file.name}. The page says:\n{self.text('body')[:SHOWN]}\n", flush=True)
        except WebDriverException as error:
            print(f"\n{name} failed, and the browser shows nothing: {error}", flush=True)

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
