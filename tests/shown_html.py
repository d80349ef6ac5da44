"""What a notebook shows of an object, read by Python's parser of HTML."""

import base64
from html.parser import HTMLParser
from types import SimpleNamespace

VOID = {"img", "br"}


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.rows, self.images, self.texts, self.styles = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.styles.append(attributes.get("style", ""))
        if tag == "img":
            self.images.append(attributes)
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


def shown(thing):
    """Return rows, images and text of the HTML of an object; tags must be balanced."""
    reader = _Reader()
    html = thing._repr_html_()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    assert "color" not in html
    return SimpleNamespace(
        rows=reader.rows,
        pictures=[base64.b64decode(one["src"].split(",", 1)[1]) for one in reader.images],
        images=reader.images,
        text=" ".join(" ".join(reader.texts).split()),
        html=html,
    )
