# SPDX-License-Identifier: MIT
#
# page.py PAGE FIGURES: that a page of HTML is whole: each tag is closed, each link leads to something
# on it, it would load nothing, and it has so many figures. Prints what is wrong, and ends with 1.

import html.parser
import re
import sys

VOID = {"meta", "br", "hr", "img", "link", "input"}
LINKS = {"href", "src", "xlink:href", "data", "action", "srcset", "poster"}


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.names, self.links = [], [], [], []
        self.counts = {}

    def handle_starttag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name == "id":
                self.names.append(value)
            elif name in LINKS:
                self.links.append(value)
            elif name.startswith("on"):
                self.wrong.append(f"<{tag} {name}>")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> in line {self.getpos()[0]}")


with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
page = Page()
page.feed(text)
wrong = page.wrong + [f"<{tag}> is not closed" for tag in page.open]
wrong += [f"{link} leads out of the page" for link in page.links if not link.startswith("#")]
wrong += [f"{link} leads nowhere" for link in page.links if link[1:] not in page.names]
wrong += [f"the page has {word}" for word in ("@import", "url(http", "<script", "<iframe")
          if word in text]
# Names of XML are no addresses.
wrong += [f"{found} is loaded" for found in re.findall(r'(?<!xmlns=")(?<!xlink=")https?://[^"< ]*', text)
          if "w3.org" not in found]
sections = re.findall(r'<section id="([a-z]+)">', text)
if "".join(f'href="#{name}"' in text and "y" or "n" for name in sections).count("n"):
    wrong.append(f"not all of {sections} are linked")
if page.counts.get("figure", 0) != int(sys.argv[2]) or \
        page.counts.get("svg", 0) != int(sys.argv[2]):
    wrong.append(f"{page.counts.get('figure', 0)} figures and {page.counts.get('svg', 0)} pictures, "
                 f"not {sys.argv[2]}")
if page.counts.get("table", 0) < 10:
    wrong.append(f"{page.counts.get('table', 0)} tables")
print("\n".join(wrong), end="")
sys.exit(bool(wrong))
