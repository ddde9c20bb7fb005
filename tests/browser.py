"""A real Chromium for tests: found or demanded, without a network, and its colours judged as WCAG does."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from harness.colours import colours

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--disable-gpu", "--disable-quic", "--disable-component-update", "--disable-sync")
PATIENCE = 60_000  # milliseconds until what never shows fails a test; a busy machine is slow
LEAST_PIXELS = 20  # of a mark that is seen
WITHOUT_NETWORK = ("data:", "blob:")
Colour = Sequence[float]  # red, green, blue of 255, and alpha of 1


def installed_browser() -> str:
    """Return the path of the browser. Without one the test is skipped, or fails where REQUIRE_BROWSER is set."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing = f"needs a browser: one of {', '.join(NAMES)} on the PATH"
        pytest.fail(missing) if os.environ.get("REQUIRE_BROWSER") else pytest.skip(missing)
    return found


@contextmanager
def launched(path: str) -> Iterator[Browser]:
    """Yield the browser at `path`, started headless with a fresh profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=False, args=OPTIONS)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Opened:
    """A page, what the browser complained of, and what it asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def measure(self, what: str) -> Any:
        """Return the result of the function `what` of `browser.js`."""
        return self.page.evaluate(f"measure.{what}()")

    def close(self) -> None:
        self.page.context.close()


def open_page(browser: Browser, address: str, allowed: str, **options: Any) -> Opened:
    """The page of that address in a fresh profile; nothing is answered but what begins with `allowed`."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    context.add_init_script(path=Path(__file__).with_suffix(".js"))
    context.route(lambda asked: not asked.startswith(allowed), lambda route: route.abort())
    opened = Opened(context.new_page())
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.page.on("console", lambda message: _keep_complaint(opened, message))
    opened.page.on("request", lambda request: _keep_request(opened, request.url))
    opened.page.goto(address)
    return opened


def _keep_complaint(opened: Opened, message: Any) -> None:
    if message.type in ("error", "warning"):
        opened.complaints.append(message.text)


def _keep_request(opened: Opened, address: str) -> None:
    if not address.startswith(WITHOUT_NETWORK):
        opened.requests.append(address)


def pixels_of_optimizers(picture: Image.Image, names: Sequence[str]) -> dict[str, int]:
    """Return how many pixels have exactly the colour of each optimizer in a report."""
    seen = {colour: count for count, colour in picture.convert("RGB").getcolors(picture.width * picture.height) or ()}
    return {name: seen.get(tuple(bytes.fromhex(colour[1:])), 0) for name, colour in colours(names).items()}


def over(ground: Colour, colour: Colour) -> Colour:
    """Return the visible colour of a transparent colour on an opaque background."""
    alpha = colour[3]
    mixed = (alpha * front + (1 - alpha) * back for front, back in zip(colour[:3], ground[:3], strict=True))
    return (*mixed, 1.0)


def luminance(colour: Colour) -> float:
    """WCAG's relative luminance, 0 of black to 1 of white."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _parts(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _parts(colour: Colour) -> list[float]:
    return [part / 255 for part in colour[:3]]


def ground_of(text: dict[str, Any]) -> Colour:
    """Return the visible background of a text, whose last background is opaque."""
    return reduce(over, reversed(text["grounds"]))


def contrast(text: dict[str, Any]) -> float:
    """WCAG's contrast ratio of a text, 1 of none to 21 of black on white."""
    ground = ground_of(text)
    lighter, darker = sorted((luminance(ground), luminance(over(ground, text["colour"]))), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
