"""HTML read by Python's parser: pages, and what a notebook shows of an object."""

import base64
from html.parser import HTMLParser
from types import SimpleNamespace

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """The images, references, tables, styles and texts of a page; every tag must be closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.references, self.images = [], [], []
        self.rows, self.texts, self.styles = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.references += [given[name] for name in ("src", "href", "action") if name in given]
        self.styles.append(given.get("style", ""))
        if tag == "img":
            self.images.append(given)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def shown(thing):
    """Return rows, images and text of the HTML of an object; tags must be balanced."""
    html = thing._repr_html_()
    page = Page(html)
    assert "color" not in html
    return SimpleNamespace(
        rows=page.rows,
        pictures=[base64.b64decode(one["src"].split(",", 1)[1]) for one in page.images],
        images=page.images,
        text=page.text,
        html=html,
    )
