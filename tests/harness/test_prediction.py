"""A person's picture reaches the model as MNIST's makers prepared theirs, whatever it looks like."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from harness.prediction import SIDE, as_mnist
from harness.run import begin_run, complete_run
from harness.tracking import MlflowTracker

DATA = ["--data-dir", "data"]


def tracked(config, data):
    tracker = MlflowTracker()
    return complete_run(begin_run(config, tracker, "tiny", data), tracker, data)


def seven(mode: str, ground, ink, size=(300, 400)) -> Image.Image:
    image = Image.new(mode, size, ground)
    draw = ImageDraw.Draw(image)
    width, height = size
    points = [(width * 0.3, height * 0.3), (width * 0.7, height * 0.3), (width * 0.4, height * 0.8)]
    draw.line(points, fill=ink, width=width // 15, joint="curve")
    return image


LOOKS = {
    "dark on light, grey": seven("L", 255, 0),
    "light on dark, grey": seven("L", 0, 255),
    "dark on light, colour": seven("RGB", (250, 240, 200), (20, 10, 90)),
    "light on dark, colour": seven("RGB", (10, 40, 20), (250, 220, 230)),
    "dark on transparent": seven("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)),
    "light on transparent": seven("RGBA", (255, 255, 255, 0), (255, 255, 255, 255)),
    "large": seven("L", 255, 0, (1_500, 2_000)),
    "palette": seven("L", 255, 0).convert("P"),
    "black and white": seven("L", 255, 0).convert("1"),
}


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_of_a_figure_becomes_the_same_light_figure_on_dark(look):
    expected = as_mnist(LOOKS["light on dark, grey"]).astype(int)
    pixels = as_mnist(LOOKS[look]).astype(int)
    assert pixels.shape == (SIDE, SIDE)
    assert np.abs(pixels - expected).mean() < 6
    assert pixels[:4].max() == pixels[:, :4].max() == 0
    rows, columns = np.nonzero(pixels > 64)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)


def test_a_picture_of_mnists_own_size_is_taken_as_it_is(small):
    image = small.test.images[0].numpy()
    assert np.array_equal(as_mnist(Image.fromarray(image)), image)
    assert np.array_equal(as_mnist(Image.fromarray(255 - image)), image)


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_a_blank_picture_has_no_figure(ground):
    assert as_mnist(Image.new("L", (100, 100), ground)) is None
    assert as_mnist(Image.new("RGBA", (100, 100), (ground, ground, ground, 0))) is None


def test_predict_shows_image_probabilities_and_ground_truth(config, project, data, harness, harness_json):
    record = tracked(config, data)
    seen = harness_json("predict", record.run_id, "--index", "3", *DATA)
    assert seen["ground_truth"] == 0
    assert seen["prediction"] == max(range(10), key=seen["probabilities"].__getitem__)
    assert abs(sum(seen["probabilities"]) - 1) < 1e-5
    with Image.open(seen["picture"]) as picture:
        assert picture.format == "PNG"

    LOOKS["dark on light, colour"].save(project / "mine.jpg")
    mine = harness_json("predict", record.run_id, "--image", "mine.jpg")
    assert mine["ground_truth"] is None
    assert "ground truth" not in harness("predict", record.run_id, "--image", "mine.jpg").stdout

    (project / "text.png").write_text("not an image")
    Image.new("L", (50, 50)).save(project / "blank.png")
    for arguments, message in (
        (["--image", "text.png"], "can't be read as an image"),
        (["--image", "blank.png"], "is blank"),
        (["--image", "missing.png"], "FileNotFoundError"),
        (["--index", "320"], "0 to 319 is allowed"),
        (["--index", "1", "--image", "mine.jpg"], "one of the two"),
    ):
        refused = harness("predict", record.run_id, *arguments, *DATA)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_a_damaged_state_is_refused_not_used(config, project, data, harness):
    record = tracked(config, data)
    (path,) = (project / "mlartifacts").rglob("state.pt")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused = harness("predict", record.run_id)
    assert refused.returncode == 2
    assert f"state of run '{record.run_id}' is damaged" in refused.stderr
