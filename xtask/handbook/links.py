"""Checks the handbook's HTML: every link and image leads to a file of the book, and every #anchor to an element of it."""

import html.parser
import json
import pathlib
import sys
import urllib.parse

book = pathlib.Path(sys.argv[1]).resolve()


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.names = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            # What mdBook's page for a missing address is shown below.
            if tag == "base":
                continue
            if name in ("href", "src", "srcset") and value is not None:
                self.links.append((self.getpos()[0], value))
            if name in ("id", "name") and value:
                self.names.add(value)


# The page of all chapters, for printing, has their links with other bases.
pages = {path: Page(path.read_text()) for path in book.rglob("*.html") if path.name != "print.html"}
faults = []
count = 0
for path, page in pages.items():
    for line, link in page.links:
        parts = urllib.parse.urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        count += 1
        where = f"{path.relative_to(book)}:{line}: {link}"
        # A server's page for what is missing stands at any address.
        base = book if path.name == "404.html" else path.parent
        target = (base / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
        if book not in target.parents and target != book:
            faults.append(f"{where} leads out of the book")
        elif target.is_dir() and not (target / "index.html").exists() or not target.exists():
            faults.append(f"{where} leads to a file that is not in the book")
        elif parts.fragment and target in pages and urllib.parse.unquote(parts.fragment) not in pages[target].names:
            faults.append(f"{where} leads to a heading that its page does not have")
headings = json.loads(pathlib.Path(sys.argv[2]).read_text())
for name, anchors in headings.items():
    page = pages.get(book / name.replace(".md", ".html"))
    for anchor in anchors if page else ():
        if anchor not in page.names:
            print(f"docs/{name}: its heading is #{anchor} on GitHub and has another name in the book; do not link to it")
if not count:
    faults.append(f"{book} has no page with links")
if faults:
    sys.exit("\n".join(faults))
print(f"{len(pages)} pages of HTML, {count} links within them lead to a file or heading")
