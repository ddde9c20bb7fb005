"""The README's pictures: how that of the terminal is made, and that those that are kept are whole and small."""

import pytest
from PIL import Image

from experiments import catalog
from studies.executors.inline import InlineExecutor
from studies.executors.pool import WorkerPool
from tests import gallery
from tests.browser import LEAST_PIXELS, installed_browser, launched, pixels_of_optimizers
from tests.tracked import tiny_sweeps

KEPT = {gallery.TERMINAL, gallery.PAGE, gallery.CHARTS}
MOST = 1_000_000  # bytes of all together
LEAST_WIDTH = 900
OPTIMIZERS = catalog.load_sweep(gallery.EXPERIMENT).sweep.optimizers


def test_the_kept_pictures_are_complete_and_small_together():
    paths = list(gallery.GALLERY.iterdir())
    assert {path.name for path in paths} == KEPT
    assert sum(path.stat().st_size for path in paths) < MOST
    for path in paths:
        with Image.open(path) as picture:
            assert picture.width >= LEAST_WIDTH
            if path.name == gallery.TERMINAL:
                assert picture.n_frames > 10
            else:
                assert min(pixels_of_optimizers(picture, OPTIMIZERS).values()) > LEAST_PIXELS


@pytest.mark.slow
@pytest.mark.posix
def test_the_film_of_the_terminal_shows_a_sweep_from_its_beginning_to_its_end(tmp_path, data):
    with tiny_sweeps():
        tiny = catalog.load_sweep(gallery.EXPERIMENT).sweep
        frames = gallery.record(gallery.EXPERIMENT, tiny, WorkerPool(InlineExecutor(), 1, data), 60, 0.5)
    assert "best" in frames[-1]
    assert "sgd" in frames[-1]
    with launched(installed_browser()) as browser:
        gallery.film(browser, [frames[0], frames[-1]], tmp_path / gallery.TERMINAL)
    with Image.open(tmp_path / gallery.TERMINAL) as picture:
        assert (picture.width, picture.n_frames) == (gallery.WIDTH, 2)
