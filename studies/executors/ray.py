"""Execute slices as tasks of a Ray cluster, with the interface of `concurrent.futures`. Needs the extra `ray`."""

import functools
import os
import socket
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any

from harness.errors import BadInputError
from studies.executors.resources import Asked, Resources


def begin_on_ray(asked: Asked) -> tuple[Callable[[], Executor], int]:
    """Return a function that makes the executor, and the number of slices in flight: by default all that fit.

    Raises:
        BadInputError: the cluster does not exist, or a slice needs more than any node has.
    """
    needed = asked.resources or Resources()
    join_cluster(asked.ray_address)
    room = slices_at_a_time(needed)
    return functools.partial(RayExecutor, needed), asked.workers or room


def join_cluster(address: str | None) -> None:
    """Join a running cluster: at `host:port` of its head, at `ray://host:port`, or the cluster of this machine.

    Raises:
        BadInputError: Ray is not installed, or the cluster does not exist.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise BadInputError(
            "executor",
            "ray",
            "needs the package ray, which is not installed",
            expected="the executor inline or local",
            next_step="choose one of these, or run pip install 'optimizer-harness[ray]'",
        ) from None
    try:
        if address and address != "auto":  # checked here, since Ray itself would retry for a long time
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address or "auto", log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise BadInputError(
            "Ray cluster",
            address or "auto",
            f"can't be joined ({type(error).__name__})",
            expected="the address of a running head node, from a machine of its cluster",
            next_step="start a head node, or have this machine join one, with Ray's own command `ray start`",
        ) from None


def slices_at_a_time(needed: Resources) -> int:
    """Return how many slices fit on the cluster's nodes at the same time.

    Raises:
        BadInputError: a slice needs more than any node has, and would wait forever.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    asked = {name: share for name, share in (("CPU", needed.cpus), ("GPU", needed.gpus)) if share}
    room = sum(int(min((node.get(name, 0.0) / share for name, share in asked.items()), default=1)) for node in nodes)
    if room == 0:
        found = ", ".join(f"{node.get('CPU', 0.0):g} and {node.get('GPU', 0.0):g}" for node in nodes)
        raise BadInputError(
            "resources",
            problem=f"of a slice ({needed.cpus:g} CPUs, {needed.gpus:g} GPUs) are more than any node has",
            expected=f"at most the CPUs and GPUs of one node ({found})",
            next_step="change [resources] of the experiment, or add a larger node to the cluster",
        )
    return room


class RayExecutor(Executor):
    """An executor whose calls are tasks of the cluster that this process has joined.

    If a worker or node dies, Ray itself runs the task again, on another node if needed, up to three times.
    """

    def __init__(self, needed: Resources) -> None:
        self._needed = needed
        self._in_flight: dict[Future[Any], Any] = {}

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        """Return the task's future. It raises the function's error, or BrokenExecutor if the task was lost."""
        import ray

        task = ray.remote(fn).options(num_cpus=self._needed.cpus, num_gpus=self._needed.gpus)
        future: Future[Any] = Future()
        self._in_flight[future] = reference = task.remote(*args, **kwargs)
        reference.future().add_done_callback(lambda done: self._pass_on(done, future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Cancel the tasks in flight if `cancel_futures`; the cluster itself stays up."""
        import ray

        for reference in list(self._in_flight.values()) if cancel_futures else []:
            ray.cancel(reference, force=True)

    def _pass_on(self, done: Future[Any], to: Future[Any]) -> None:
        import ray.exceptions

        self._in_flight.pop(to, None)
        error = done.exception()
        if error is None:
            to.set_result(done.result())
        elif isinstance(error, ray.exceptions.RayTaskError):
            to.set_exception(error.cause)
        else:
            to.set_exception(BrokenExecutor(f"{type(error).__name__} of Ray"))
