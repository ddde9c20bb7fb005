"""A drawn figure as a file: SVG, PNG or PDF, the same bytes for the same data."""

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

import matplotlib as mpl

from harness.errors import BadInputError
from reports.figures.style import Drawn, Part

FORMATS = ("svg", "png", "pdf")
PAGE_FORMATS = FORMATS[:1]
SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", LINK)


def formats_of(text: str) -> tuple[str, ...]:
    """Return the formats that a text such as `svg,png` or `all` names, the page's own among them.

    Raises:
        BadInputError: it names another.
    """
    named = FORMATS if text == "all" else text.split(",")
    for each in named:
        if each not in FORMATS:
            raise BadInputError(
                "formats",
                text,
                f"has {each!r}",
                expected=f"{', '.join(FORMATS)} or all",
                next_step="name one of these",
            )
    return tuple(dict.fromkeys([*PAGE_FORMATS, *named]))


def render(drawn: Drawn, kind: str, salt: str, dots: int | None = None) -> bytes:
    """Return the figure as `svg`, `png` or `pdf`, with so many dots an inch where it holds pixels.

    `salt` makes the ids of an SVG its own, for several on one page.
    """
    buffer = io.BytesIO()
    metadata = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}[kind]
    with mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "path"}):
        dots = dots or (144 if kind == "svg" else 200)  # of a page on a screen, and in print
        drawn.savefig(buffer, format=kind, dpi=dots, metadata=metadata, transparent=kind != "png")
    return marked(buffer.getvalue(), drawn.parts, salt) if kind == "svg" else buffer.getvalue()


def marked(svg: bytes, parts: Mapping[str, Part], salt: str) -> bytes:
    """Return the SVG with each part's optimizers as `data-of`, and what its points say as their titles.

    Ids that matplotlib counts in each figure anew, such as `axes_1`, are made the figure's own.
    """
    root = ElementTree.fromstring(svg)
    for group in root.iter(f"{{{SVG}}}g"):
        name = group.get("id", "")
        if (part := parts.get(name)) is None:
            if re.fullmatch(r"[A-Za-z0-9.]+_\d+", name):
                group.set("id", f"{salt}-{name}")
            continue
        del group.attrib["id"]
        _mark(group, part)
    found: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return found


def _mark(group: ElementTree.Element, part: Part) -> None:
    """Say in a part's element of whom it is; of points, in that of each of them."""
    if not part.of_points:
        group.set("data-of", " ".join(part.keys))
        _entitle(group, part.tips[0])
        return
    points = _drawn_points(group)
    if len(points) == len(part.keys):  # pixels have none
        for point, key, tip in zip(points, part.keys, part.tips, strict=True):
            point.set("data-of", key)
            _entitle(point, tip)


def _drawn_points(group: ElementTree.Element) -> list[ElementTree.Element]:
    """Return the points of a scatter: uses of one path, or a path each where they have several."""
    uses = list(group.iter(f"{{{SVG}}}use"))
    defined = {path for defs in group.iter(f"{{{SVG}}}defs") for path in defs.iter(f"{{{SVG}}}path")}
    return uses or [path for path in group.iter(f"{{{SVG}}}path") if path not in defined]


def _entitle(element: ElementTree.Element, tip: str) -> None:
    if tip:
        title = ElementTree.Element(f"{{{SVG}}}title")
        title.text = tip
        element.insert(0, title)
