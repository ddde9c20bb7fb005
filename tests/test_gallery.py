"""The README's pictures: what they are made from, and that those that are kept are whole and small."""

import numpy as np
import pytest
from PIL import Image

from experiments import catalog
from harness.colours import colours
from studies.executors.inline import InlineExecutor
from studies.executors.pool import WorkerPool
from tests import gallery
from tests.browser import installed_browser, launched
from tests.mnist_folder import write_small_mnist
from tests.tracked import tiny_sweeps

KEPT = {gallery.TERMINAL, gallery.PAGE, gallery.CHARTS}
MOST = 1_000_000  # bytes of all together
LEAST_WIDTH = 900


def test_the_kept_pictures_are_those_that_are_made_and_small_together():
    paths = list(gallery.GALLERY.iterdir())
    assert {path.name for path in paths} == KEPT
    assert sum(path.stat().st_size for path in paths) < MOST
    for path in paths:
        with Image.open(path) as picture:
            assert picture.width >= LEAST_WIDTH
            assert getattr(picture, "n_frames", 1) > 10 or path.suffix == ".png"


@pytest.mark.slow
@pytest.mark.posix
def test_the_pictures_show_a_sweep_its_page_and_its_charts(tracked, tmp_path, project):
    pool = WorkerPool(InlineExecutor(), 1, write_small_mnist(project / "data"))
    with tiny_sweeps():
        frames = gallery.record("optimizers", catalog.load_sweep("optimizers").sweep, pool, 60, 0.1)
    assert "best" in frames[-1]
    assert "sgd" in frames[-1]
    with pytest.MonkeyPatch.context() as patch, launched(installed_browser()) as browser:
        gallery.film(browser, frames, tmp_path / gallery.TERMINAL)
        patch.chdir(tracked.folder)
        report = tracked.folder / ".harness" / "reports" / tracked.sweep / "report.html"
        gallery.photograph_page(browser, report, tmp_path / gallery.PAGE)
        gallery.photograph_charts(browser, tracked.folder, tmp_path / gallery.CHARTS)
    with Image.open(tmp_path / gallery.TERMINAL) as picture:
        assert 1 < picture.n_frames <= len(frames)  # of frames that are alike there is one
        assert picture.width == gallery.WIDTH
    with Image.open(tmp_path / gallery.PAGE) as picture:
        assert picture.width == gallery.SCALE * gallery.WIDTH
        assert 300 < picture.height <= gallery.SCALE * gallery.HEIGHT
    with Image.open(tmp_path / gallery.CHARTS) as picture:
        seen = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in colours(["sgd", "adam"]).values():
        assert (seen == list(bytes.fromhex(colour[1:]))).all(axis=1).sum() > 20
