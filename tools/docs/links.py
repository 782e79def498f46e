"""Follows the links of a site of HTML files: broken(folder) tells those that lead nowhere inside of it."""

import html.parser
import urllib.parse


class Reader(html.parser.HTMLParser):
    """The links of a page, and what may be linked to in it."""

    def __init__(self):
        super().__init__()
        self.targets, self.names = [], set()

    def handle_starttag(self, tag, attributes):
        for key, value in attributes:
            if key in ("href", "src") and value is not None:
                self.targets.append(value)
            elif key == "id" or (key == "name" and tag == "a"):
                self.names.add(value)


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def broken(folder):
    pages = {path.resolve(): read(path) for path in sorted(folder.glob("*.html"))}
    found = []
    for path, page in pages.items():
        for target in page.targets:
            parts = urllib.parse.urlsplit(target)
            if parts.scheme or parts.netloc or target.startswith("javascript:"):
                continue
            linked = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            if not linked.exists():
                found.append(f"{path.name}: {target}: there is no such file")
            elif parts.fragment and linked in pages and urllib.parse.unquote(parts.fragment) not in pages[linked].names:
                found.append(f"{path.name}: {target}: there is no such place")
    return found
