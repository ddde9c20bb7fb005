"""Write to a tracker in the background, in order, and retry while the tracking store is unavailable."""

import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from harness.errors import WorkFailedError
from harness.records import DatasetInput, MetricRow, Outcome, Tag
from harness.tracking.connection import is_away
from harness.tracking.tracker import FoundRun, Tracker

logger = logging.getLogger(__name__)
PATIENCE = 600.0  # seconds that a store may be unavailable; meanwhile the writes wait in memory
PAUSE = 1.0  # seconds between two tries
T = TypeVar("T")
IDENTITY = (Tag.SWEEP_ID, Tag.STAGE, Tag.OPTIMIZER, Tag.NUMBER, Tag.CONFIG_HASH)


class Outbox:
    """Queue writes for another tracker; one thread delivers them in order.

    Reads wait until all earlier writes are delivered. `start_run` returns an id of the outbox's own, and every method
    accepts this id or the store's. A write whose answer was lost is not made twice. If the store refuses a write, or
    is unavailable for longer than `PATIENCE`, the next call raises the error.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._thread = ThreadPoolExecutor(1, "outbox")
        self._ids: dict[str, Future[str]] = {}
        self._failure: Exception | None = None
        self._hurry = Event()

    def start_run(self, experiment: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Open a run and return an id of the outbox's own, without waiting for the store's id."""
        own = uuid.uuid4().hex
        identity = {tag: tags[tag] for tag in IDENTITY if tag in tags}

        def start() -> str:
            return self._tracker.start_run(experiment, name, params, tags)

        def start_unless_there() -> str:
            for found in self._tracker.find_runs(experiment, identity):
                self._tracker.reopen_run(found.run_id, params)
                return found.run_id
            return start()

        self._ids[own] = self._send(own, start, start_unless_there)
        return own

    def reopen_run(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Mark a run as running again."""
        self._send(run_id, lambda: self._tracker.reopen_run(self.stored_id(run_id), params))

    def last_step(self, run_id: str, metric: str) -> int:
        """Return the last step of a run's metric, 0 if it has none."""
        return self._send(run_id, lambda: self._tracker.last_step(self.stored_id(run_id), metric)).result()

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Record the data that a run uses, beside the data that are recorded already."""
        self._send(run_id, lambda: self._tracker.log_inputs(self.stored_id(run_id), inputs))

    def log_rows(self, run_id: str, rows: Sequence[MetricRow]) -> None:
        """Record values of metrics in one call; the values of each metric are in the order of their steps."""

        def log_what_is_not_there() -> None:
            stored = self.stored_id(run_id)
            last = {name: self._tracker.last_step(stored, name) for name in {row.name for row in rows}}
            if missing := [row for row in rows if row.step > last[row.name]]:
                self._tracker.log_rows(stored, missing)

        self._send(run_id, lambda: self._tracker.log_rows(self.stored_id(run_id), rows), log_what_is_not_there)

    def log_artifact(self, run_id: str, name: str, content: bytes) -> None:
        """Store a file under the run."""
        self._send(run_id, lambda: self._tracker.log_artifact(self.stored_id(run_id), name, content))

    def read_artifact(self, run_id: str, name: str) -> bytes:
        """Return the content of a file that was stored under the run."""
        return self._send(run_id, lambda: self._tracker.read_artifact(self.stored_id(run_id), name)).result()

    def log_model(self, run_id: str, trained_by: str, write: Callable[[Path], None]) -> None:
        """Attach the model of the final `trained_by` to the sweep `run_id`, once. `write` writes its folder."""
        self._send(run_id, lambda: self._tracker.log_model(self.stored_id(run_id), self.stored_id(trained_by), write))

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags."""
        self._send(run_id, lambda: self._tracker.set_tags(self.stored_id(run_id), tags))

    def end_run(self, run_id: str, outcome: Outcome) -> None:
        """Close a run with its outcome and the matching status."""
        self._send(run_id, lambda: self._tracker.end_run(self.stored_id(run_id), outcome))

    def find_run(self, run_id: str) -> FoundRun:
        """Return the run of that id; raise BadInputError if there is none."""
        return self._send(run_id, lambda: self._tracker.find_run(self.stored_id(run_id))).result()

    def find_runs(self, experiment: str, tags: Mapping[str, str]) -> list[FoundRun]:
        """Return the runs with all these tags; of sweeps, the newest first."""
        return self._send("", lambda: self._tracker.find_runs(experiment, tags)).result()

    def latest_sequence(self) -> int:
        """Return the sequence number of the sweep that was started last; 0 if there is none."""
        return self._send("", self._tracker.latest_sequence).result()

    def when_delivered(self, action: Callable[[], None]) -> None:
        """Call `action` when all earlier writes are in the store."""
        self._send("", action)

    def stored_id(self, run_id: str) -> str:
        """Return the store's id of a run; until the store has answered, the outbox's id."""
        return self.known_id(run_id) or run_id

    def known_id(self, run_id: str) -> str | None:
        """Return the store's id of a run; None until the store has answered."""
        started = self._ids.get(run_id)
        if started is None:  # `run_id` is the store's id
            return run_id
        return started.result() if started.done() and not started.exception() else None

    def close(self, in_a_hurry: bool) -> None:
        """Deliver what is queued. With `in_a_hurry`, do not wait for an unavailable store, and raise nothing.

        Raises:
            WorkFailedError: the store was unavailable for too long. The checkpoints have what was not delivered.
            Exception: the store refused a write.
        """
        if in_a_hurry:
            self._hurry.set()
        self._thread.shutdown()
        if self._failure is not None and not in_a_hurry:
            raise self._failure

    def _send(self, run_id: str, write: Callable[[], T], again: Callable[[], T] | None = None) -> Future[T]:
        if self._failure is not None:
            raise self._failure
        return self._thread.submit(self._deliver, run_id, write, again or write)

    def _deliver(self, run_id: str, write: Callable[[], T], again: Callable[[], T]) -> T:
        if self._failure is not None:  # an earlier write is missing: keep the order
            raise self._failure
        try:
            return write()
        except Exception as error:
            if not is_away(error):
                self._failure = error
                raise
            return self._deliver_later(run_id, again, error)

    def _deliver_later(self, run_id: str, write: Callable[[], T], error: Exception) -> T:
        logger.warning(
            "harness: the tracking store is unavailable (%s); training continues, and results are kept meanwhile",
            _short(error),
        )
        since = time.monotonic()
        while time.monotonic() - since < PATIENCE and not self._hurry.wait(PAUSE):
            try:
                result = write()
            except Exception as failed:
                if not is_away(failed):
                    self._failure = failed
                    raise
                error = failed
            else:
                logger.warning(
                    "harness: the tracking store is available again after %.0f s", time.monotonic() - since
                )
                return result
        self._failure = WorkFailedError(
            self.stored_id(run_id),
            f"the tracking store was unavailable for {time.monotonic() - since:.0f} s ({_short(error)}); the missing "
            "results are kept here; run the same command again when it is available",
        )
        raise self._failure


@contextlib.contextmanager
def delivered(tracker: Tracker) -> Iterator[Outbox]:
    """Yield an outbox, and deliver its writes to `tracker` at the end; after an exception, do not wait for the store.

    Raises:
        WorkFailedError: the store was unavailable for too long, or the block raised this error; the error names the
            store's run id.
    """
    outbox = Outbox(tracker)
    try:
        yield outbox
    except WorkFailedError as error:
        outbox.close(in_a_hurry=True)
        raise WorkFailedError(outbox.stored_id(error.run_id), error.what) from error.__cause__
    except BaseException:
        outbox.close(in_a_hurry=True)
        raise
    outbox.close(in_a_hurry=False)


def _short(error: Exception) -> str:
    """Return the class of an error without its text, which may hold an address with a password."""
    return type(error.__cause__ or error).__name__
