"""The README's pictures, of the default sweep: while it runs in a terminal, its page, its charts in MLflow.

`python -m tests.gallery` makes them of the sweep of this folder, which it runs first where none has ended. What runs
in the terminal is the same sweep once more, in a folder of its own, for its first minutes.
"""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event, Thread, Timer

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Locator, Page
from rich.console import Console, Group
from rich.text import Text

from experiments import catalog
from experiments.cli.live import Screen
from harness.errors import SweepStopped
from harness.tracking.charts import latest_routes
from harness.tracking.mlflow import MlflowTracker
from studies.definition import SweepDefinition
from studies.executors.pool import WorkerPool, open_pool
from studies.sweep import run_sweep
from tests.browser import installed_browser, launched, open_page
from tests.servers import harness_ui

GALLERY = Path(__file__).parents[1] / "reports" / "gallery"
TERMINAL, PAGE, CHARTS = "terminal.gif", "page.png", "charts.png"
EXPERIMENT = "optimizers"
SECONDS, EVERY = 150.0, 5.0  # of the sweep in the terminal, and between two frames of it
SHOWN, LAST_SHOWN = 300, 3000  # milliseconds that a frame is seen
COLUMNS = 94  # of the terminal
BESIDES = 8  # lines of it that show neither an optimizer nor a worker
COLOURS, FILM_COLOURS = 256, 48
SCALE = 1.5  # pixels of a CSS pixel
WIDTH, HEIGHT, MARGIN = 1000, 860, 12  # of the page
BLOCKS = "h1, h2, p, figure, details, table, ul"
UI_WIDTH, UI_HEIGHT = 1280, 1060


def main() -> None:
    """Make the three pictures in `reports/gallery`."""
    GALLERY.mkdir(exist_ok=True)
    said = subprocess.run(
        [sys.executable, "-m", "harness", "sweep", EXPERIMENT, "--json"], stdout=subprocess.PIPE, check=True
    )
    with launched(installed_browser()) as browser:
        photograph_page(browser, Path(json.loads(said.stdout)["report"]), GALLERY / PAGE)
        with harness_ui(Path.cwd()) as url:
            photograph_charts(browser, url, GALLERY / CHARTS)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), open_pool("local") as pool:
            frames = record(EXPERIMENT, catalog.load_sweep(EXPERIMENT).sweep, pool, SECONDS, EVERY)
        film(browser, frames, GALLERY / TERMINAL)


def photograph_page(browser: Browser, report: Path, picture: Path) -> None:
    """The first screen of a report, down to the last block that is whole there."""
    address = report.as_uri()
    viewport = {"width": WIDTH, "height": HEIGHT}
    opened = open_page(browser, address, address, viewport=viewport, device_scale_factor=SCALE)
    ends = opened.page.locator(BLOCKS).evaluate_all("all => all.map(each => each.getBoundingClientRect().bottom)")
    height = max(end for end in ends if end <= HEIGHT - MARGIN) + MARGIN
    shot = opened.page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
    _with_few_colours(shot).save(picture, optimize=True)
    opened.close()


def photograph_charts(browser: Browser, url: str, picture: Path) -> None:
    """The charts of the current folder's latest sweep in its UI, without what MLflow shows a first visitor."""
    route = next(route for shown, route in latest_routes().items() if "charts" in shown)
    viewport = {"width": UI_WIDTH, "height": UI_HEIGHT}
    opened = open_page(browser, f"{url}/{route}", url, viewport=viewport, device_scale_factor=SCALE)
    page = opened.page
    page.locator(".js-plotly-plot path.js-line").first.wait_for()
    for name in ("Hide banner", "Close", "Toggle sidebar"):
        _click(page, page.get_by_role("button", name=name, exact=True))
    page.wait_for_timeout(3000)  # until the charts have the room that is theirs now
    _with_few_colours(page.screenshot()).save(picture, optimize=True)
    opened.close()


def _with_few_colours(shot: bytes) -> Image.Image:
    """A screenshot with its frequent colours as they are, and each other as one like it: a fraction as large."""
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    pixels = np.asarray(image).astype(np.int32) @ (1 << 16, 1 << 8, 1)
    found, where, counts = np.unique(pixels, return_inverse=True, return_counts=True)
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)
    kept = _kept(colours[np.argsort(-counts, kind="stable")])
    nearest = np.array([((kept - colour) ** 2).sum(axis=1).argmin() for colour in colours], np.uint8)
    few = Image.fromarray(nearest[where].reshape(pixels.shape), "P")
    few.putpalette(kept.astype(np.uint8).tobytes())
    return few


def _kept(colours: np.ndarray) -> np.ndarray:
    """The first half of `COLOURS`, and then the first that are unlike all before them, as those of marks are."""
    for apart in 4.0 ** np.arange(9):
        kept, left = list(colours[: COLOURS // 2]), colours
        for colour in kept:  # which grows
            left = left[((left - colour) ** 2).sum(axis=1) > apart]
            if colour is kept[-1] and len(left):
                kept.append(left[0])
            if len(kept) > COLOURS:
                break
        else:
            break
    return np.array(kept)


def _click(page: Page, button: Locator) -> None:
    if button.count():  # another version may show something else
        button.first.click()
        page.wait_for_timeout(500)


def record(name: str, definition: SweepDefinition, pool: WorkerPool, seconds: float, every: float) -> list[str]:
    """Run the sweep for so many seconds, and return as SVG what its screen shows after every so many of them."""
    lines = BESIDES + len(definition.optimizers) + pool.workers
    console = Console(record=True, file=io.StringIO(), width=COLUMNS, height=lines, force_terminal=True)
    screen, stop, frames = Screen(definition, console), Event(), list[str]()

    def watch() -> None:
        while not stop.wait(every):
            frames.append(_frame(console, screen, f"harness sweep {name}"))

    with _until(stop, seconds), contextlib.suppress(SweepStopped):
        thread = Thread(target=watch, daemon=True)
        thread.start()
        run_sweep(name, definition, MlflowTracker(), pool, screen, stop)
    thread.join()
    return frames


@contextlib.contextmanager
def _until(stop: Event, seconds: float) -> Iterator[None]:
    """Set the event after so many seconds, or when the block has ended."""
    timer = Timer(seconds, stop.set)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        stop.set()


def _frame(console: Console, screen: Screen, command: str) -> str:
    """The terminal with the command and the screen, always as high."""
    shown = Group(Text(f"$ {command}", style="bold"), "", screen)
    missing = console.height - len(console.render_lines(shown))
    console.print(shown, *[""] * missing, sep="\n")
    return console.export_svg(title=command)


def film(browser: Browser, frames: Sequence[str], picture: Path) -> None:
    """An animation of frames that are SVG of one size."""
    page = browser.new_page()
    page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block; width: {WIDTH}px }}</style><main></main>")
    shots: list[Image.Image] = []
    for frame in reversed(frames):  # the last has all colours
        page.locator("main").evaluate("(main, svg) => { main.innerHTML = svg }", frame)
        shot = Image.open(io.BytesIO(page.locator("svg").first.screenshot())).convert("RGB")
        first = shots[0] if shots else shot.quantize(FILM_COLOURS)
        shots.append(shot.quantize(palette=first, dither=Image.Dither.NONE).crop((0, 0, *first.size)))
    page.close()
    shots.reverse()
    durations = [SHOWN] * (len(shots) - 1) + [LAST_SHOWN]
    shots[0].save(picture, save_all=True, append_images=shots[1:], duration=durations, loop=0)


if __name__ == "__main__":
    main()
