"""Show progress below a notebook's cell while the cell runs."""

import contextlib
import io
from collections.abc import Iterator
from threading import Event, Thread

from rich.console import Console, RenderableType

EVERY = 0.5  # seconds between two updates
COLUMNS = 110
PAGE = '<pre style="line-height: 1.25; white-space: pre; overflow-x: auto">{code}</pre>'


@contextlib.contextmanager
def shown_in_cell(shown: RenderableType, *, transient: bool = False) -> Iterator[None]:
    """Show a text below the running cell and update it until the block ends; then remove it if `transient`.

    rich's own display in notebooks is not used, because it needs ipywidgets, which not every notebook has.
    """
    from IPython.display import HTML, display

    handle = display(HTML(_html(shown)), display_id=True)
    ended = Event()

    def refresh() -> None:
        while not ended.wait(EVERY):
            handle.update(HTML(_html(shown)))

    thread = Thread(target=refresh, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        handle.update(HTML("" if transient else _html(shown)))


def _html(shown: RenderableType) -> str:
    console = Console(record=True, file=io.StringIO(), width=COLUMNS, force_jupyter=False, force_terminal=True)
    console.print(shown)
    return console.export_html(inline_styles=True, code_format=PAGE)
