"""Slices as tasks of a Ray cluster, behind the interface of `concurrent.futures`. Ray comes with the extra `ray`."""

import functools
import os
import socket
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any

from harness.errors import BadInputError
from studies.executors.resources import Asked, Resources


def begin_on_ray(asked: Asked) -> tuple[Callable[[], Executor], int]:
    """Return what makes the executor, and how many slices it has in flight: by default as many as have room.

    Raises:
        BadInputError: there is no such cluster, or a slice finds room on none of its nodes.
    """
    needed = asked.resources or Resources()
    join_cluster(asked.ray_address)
    room = slices_at_a_time(needed)
    return functools.partial(RayExecutor, needed), asked.workers or room


def join_cluster(address: str | None) -> None:
    """Join a running cluster: `host:port` of its head, `ray://host:port`, or the one that this machine is part of.

    Raises:
        BadInputError: Ray is not installed, or there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise BadInputError(
            "executor",
            "ray",
            "needs the package ray, which is not installed",
            expected="inline or local without it",
            next_step="choose one of them, or pip install 'optimizer-harness[ray]'",
        ) from None
    try:
        if address and address != "auto":  # Ray itself would go on trying
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address or "auto", log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise BadInputError(
            "Ray cluster",
            address or "auto",
            f"can't be joined ({type(error).__name__})",
            expected="the address of a running head, from a machine that is part of its cluster",
            next_step="begin a head, or have this machine join one, with Ray's own command `ray start`",
        ) from None


def slices_at_a_time(needed: Resources) -> int:
    """How many slices the cluster's nodes have room for side by side.

    Raises:
        BadInputError: a slice finds room on none of them, and would wait for ever.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    asked = {name: share for name, share in (("CPU", needed.cpus), ("GPU", needed.gpus)) if share}
    room = sum(int(min((node.get(name, 0.0) / share for name, share in asked.items()), default=1)) for node in nodes)
    if room == 0:
        found = ", ".join(f"{node.get('CPU', 0.0):g} and {node.get('GPU', 0.0):g}" for node in nodes)
        raise BadInputError(
            "resources",
            problem=f"of a slice, {needed.cpus:g} CPUs and {needed.gpus:g} GPUs, are on no node of the cluster",
            expected=f"what one node has ({found})",
            next_step="change [resources] of the experiment, or add such a node",
        )
    return room


class RayExecutor(Executor):
    """Tasks of the cluster that this process has joined.

    Ray itself runs a task again, on another node where need be, when its worker or node died: up to three times.
    """

    def __init__(self, needed: Resources) -> None:
        self._needed = needed
        self._in_flight: dict[Future[Any], Any] = {}

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        """The task's future. It raises what the function raised, and BrokenExecutor where the cluster lost it."""
        import ray

        task = ray.remote(fn).options(num_cpus=self._needed.cpus, num_gpus=self._needed.gpus)
        future: Future[Any] = Future()
        self._in_flight[future] = reference = task.remote(*args, **kwargs)
        reference.future().add_done_callback(lambda done: self._pass_on(done, future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Cancel what is in flight, if asked to; the cluster stays up."""
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
