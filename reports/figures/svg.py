"""Save a drawn figure as SVG, PNG or PDF, with the same bytes for the same data."""

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
    """Return the formats named in a text such as `svg,png` or `all`, always with those that the page needs.

    Raises:
        BadInputError: the text names an unknown format.
    """
    named = FORMATS if text == "all" else text.split(",")
    for each in named:
        if each not in FORMATS:
            raise BadInputError(
                "formats",
                text,
                f"names {each!r}",
                expected=f"{', '.join(FORMATS)} or all",
                next_step="name one of these",
            )
    return tuple(dict.fromkeys([*PAGE_FORMATS, *named]))


def render(drawn: Drawn, kind: str, salt: str, dots: int | None = None) -> bytes:
    """Return the figure as `svg`, `png` or `pdf`, with `dots` per inch for parts drawn as pixels.

    `salt` makes the ids of an SVG unique, for several figures on one page.
    """
    buffer = io.BytesIO()
    metadata = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}[kind]
    with mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "path"}):
        dots = dots or (144 if kind == "svg" else 200)  # for a screen, for print
        drawn.savefig(buffer, format=kind, dpi=dots, metadata=metadata, transparent=kind != "png")
    return marked(buffer.getvalue(), drawn.parts, salt) if kind == "svg" else buffer.getvalue()


def marked(svg: bytes, parts: Mapping[str, Part], salt: str) -> bytes:
    """Return the SVG with the optimizers of each element as `data-of`, and the tips of points as titles.

    Ids such as `axes_1`, which matplotlib repeats in each figure, get `salt` as a prefix.
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
    """Write the keys and the tip of a part to its element, or to the elements of its points."""
    if not part.of_points:
        group.set("data-of", " ".join(part.keys))
        _entitle(group, part.tips[0])
        return
    points = _drawn_points(group)
    if len(points) == len(part.keys):  # points drawn as pixels have no elements
        for point, key, tip in zip(points, part.keys, part.tips, strict=True):
            point.set("data-of", key)
            _entitle(point, tip)


def _drawn_points(group: ElementTree.Element) -> list[ElementTree.Element]:
    """Return the elements of a scatter's points: uses of a shared path, or one path for each point."""
    uses = list(group.iter(f"{{{SVG}}}use"))
    defined = {path for defs in group.iter(f"{{{SVG}}}defs") for path in defs.iter(f"{{{SVG}}}path")}
    return uses or [path for path in group.iter(f"{{{SVG}}}path") if path not in defined]


def _entitle(element: ElementTree.Element, tip: str) -> None:
    if tip:
        title = ElementTree.Element(f"{{{SVG}}}title")
        title.text = tip
        element.insert(0, title)
