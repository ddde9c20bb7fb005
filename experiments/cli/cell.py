"""Show what changes while a command works in the cell of a notebook."""

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
    """Show a changing text below the running cell until the block ends; leave nothing if `transient`.

    rich's own display in notebooks needs ipywidgets, which not every notebook has.
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
