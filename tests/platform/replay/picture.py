"""Reads SVG files with Python's XML parser and writes what is in them, one thing
a line, for test_replay_picture.c:

    SIZE width height
    RECT class x y width height title
    BAR class x y width height       a part of a path of bars
    LINE class x1 y x2               a level part of a line
    TEXT class x y words

Ends with 1 and a sentence when it is not well-formed, or has what a picture must
not have: scripts, links, things from outside, numbers that are none."""

import math
import re
import sys
import xml.etree.ElementTree as tree

SVG = "{http://www.w3.org/2000/svg}"
ALLOWED = {
    "svg": {"width", "height", "viewBox", "role"},
    "title": set(),
    "style": set(),
    "g": {"shape-rendering"},
    "rect": {"class", "x", "y", "width", "height"},
    "path": {"class", "d"},
    "text": {"class", "x", "y"},
}


def number(words):
    value = float(words)
    if not math.isfinite(value):
        raise ValueError(f"{words} is no number")
    return value


def bars_of(path, name):
    for x, y, right, top, left in re.findall(
        r"M([-\d.]+) ([-\d.]+)H([-\d.]+)V([-\d.]+)H([-\d.]+)z", path
    ):
        if left != x:
            raise ValueError("a bar does not end where it began")
        print("BAR", name, x, top, number(right) - number(x),
              number(y) - number(top))


def lines_of(path, name):
    x = y = 0.0
    for move, first, second in re.findall(
        r"([MHVh])([-\d.]+)(?: ([-\d.]+))?", path
    ):
        if move == "M":
            x, y = number(first), number(second)
        elif move == "V":
            y = number(first)
        else:
            end = number(first) + (x if move == "h" else 0)
            print("LINE", name, x, y, end)
            x = end


def check(element):
    kind = element.tag.removeprefix(SVG)
    if kind not in ALLOWED or not element.tag.startswith(SVG):
        raise ValueError(f"there is a <{kind}>")
    others = set(element.attrib) - ALLOWED[kind]
    if others:
        raise ValueError(f"<{kind}> has {others}")
    for key in ("x", "y", "width", "height"):
        if number(element.get(key, "0")) < 0:
            raise ValueError(f"<{kind}> has {key} below 0")
    if kind == "style" and re.search(r"url|@import|<|javascript",
                                     element.text):
        raise ValueError("the style sheet takes something from outside")
    return kind


def show(path):
    root = tree.parse(path).getroot()
    print("SIZE", root.get("width"), root.get("height"))
    for element in root.iter():
        kind = check(element)
        name = element.get("class", "-")
        where = [element.get(k, "0") for k in ("x", "y")]
        if kind == "rect":
            title = element.find(SVG + "title")
            print("RECT", name, *where, element.get("width"),
                  element.get("height"),
                  "" if title is None else title.text)
        elif kind == "text":
            print("TEXT", name, *where, element.text)
        elif kind == "path":
            path = element.get("d")
            if re.search(r"[^-MHVhz\d. ]", path):
                raise ValueError(f"a path has {path[:60]}")
            bars_of(path, name)
            if name.startswith("l"):
                lines_of(path, name)


try:
    for file in sys.argv[1:]:
        show(file)
except (tree.ParseError, ValueError) as error:
    print(f"picture.py: {error}", file=sys.stderr)
    sys.exit(1)
