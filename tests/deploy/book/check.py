"""What mdbook does not say: that every link of the book leads somewhere.

Usage: check.py BOOK
"""
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

book = Path(sys.argv[1]).resolve()


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, file):
        super().__init__()
        self.anchors, self.links = set(), set()
        self.feed(file.read_text())

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.add(value)


# All pages in one, to print, and the one that a server shows for what is not there, are made of the others.
files = [file for file in book.rglob("*.html") if file.name not in ("print.html", "404.html")]
pages = {file: Page(file) for file in files}
problems, seen = [], 0
for file, page in pages.items():
    for link in page.links:
        if re.match(r"[a-z]+:|//", link):
            continue
        seen += 1
        path, _, anchor = link.partition("#")
        target = (file.parent / unquote(path)).resolve() if path else file
        there = target.is_file() and (not anchor or target not in pages or unquote(anchor) in pages[target].anchors)
        if not there or not target.is_relative_to(book):
            problems.append(f"{file.relative_to(book)}: {link} leads nowhere")
if problems or len(pages) < 25 or seen < 500:
    sys.exit("\n".join(sorted(problems)) or f"that is no book: {len(pages)} pages, {seen} links")
print(f"the book: {len(pages)} pages, {seen} links, none of them dead")
