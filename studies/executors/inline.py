"""One slice at a time, in this process."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from studies.executors.resources import Asked


class InlineExecutor(Executor):
    """One slice at a time, in this process, done when `submit` returns."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        """Call now; the future is already done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def begin_inline(asked: Asked) -> tuple[Callable[[], Executor], int]:  # noqa: ARG001
    """Return what makes the executor, and how many slices it has in flight, whatever is asked: one."""
    return InlineExecutor, 1
