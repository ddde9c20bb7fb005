"""Execute one slice at a time, in this process."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from studies.executors.resources import Asked


class InlineExecutor(Executor):
    """An executor that calls the function in this process before `submit` returns."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        """Call the function now, and return a future that is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def begin_inline(asked: Asked) -> tuple[Callable[[], Executor], int]:  # noqa: ARG001
    """Return a function that makes the executor, and the number of slices in flight, which is always 1."""
    return InlineExecutor, 1
