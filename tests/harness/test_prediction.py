"""A person's picture reaches the model as MNIST's makers prepared theirs, whatever it looks like."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from harness.config import DATASETS, with_settings
from harness.pictures import as_image_of
from harness.run import begin_run, complete_run
from harness.tracking.mlflow import MlflowTracker
from tests.dataset_files import write

DATA = ["--data-dir", "data"]
SMALL = ["--epochs", "1", "--set", "dataset.train_size=40", "--set", "dataset.validation_size=20"]


def as_mnist(image: Image.Image):
    return as_image_of(DATASETS["mnist"], image)


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
def test_a_digit_in_any_colours_becomes_the_same_light_digit_on_dark(look):
    expected = as_mnist(LOOKS["light on dark, grey"]).astype(int)
    pixels = as_mnist(LOOKS[look]).astype(int)
    assert pixels.shape == (28, 28)
    assert np.abs(pixels - expected).mean() < 6
    assert pixels[:4].max() == pixels[:, :4].max() == 0
    rows, columns = np.nonzero(pixels > 64)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)


def test_a_picture_of_mnists_own_size_is_taken_as_it_is(small):
    image = small.test.images[0].numpy()
    assert np.array_equal(as_mnist(Image.fromarray(image)), image)
    assert np.array_equal(as_mnist(Image.fromarray(255 - image)), image)


def stored(image: Image.Image, kind: str) -> Image.Image:
    """Return the image as it is read from a file of this kind."""
    file = io.BytesIO()
    image.save(file, kind)
    return Image.open(io.BytesIO(file.getvalue()))


MODES = {
    "L": lambda grey: stored(Image.fromarray(grey), "png"),
    "LA": lambda grey: stored(Image.fromarray(grey).convert("LA"), "png"),
    "P": lambda grey: stored(Image.fromarray(grey).convert("P"), "png"),
    "RGB": lambda grey: stored(Image.fromarray(grey).convert("RGB"), "png"),
    "RGBA": lambda grey: stored(Image.fromarray(grey).convert("RGBA"), "png"),
    "CMYK": lambda grey: stored(Image.fromarray(grey).convert("RGB").convert("CMYK"), "tiff"),
    "YCbCr": lambda grey: Image.fromarray(grey).convert("YCbCr"),
    "HSV": lambda grey: Image.fromarray(grey).convert("RGB").convert("HSV"),
    "LAB": lambda grey: stored(in_lab(grey), "tiff"),
    "I;16": lambda grey: stored(Image.fromarray(grey.astype(np.uint16) * 257), "png"),
    "I;16B": lambda grey: stored(Image.fromarray((grey.astype(np.uint16) * 257).astype(">u2")), "tiff"),
    "I of 8 bits": lambda grey: stored(Image.fromarray(grey.astype(np.int32)), "tiff"),
    "I of 16 bits": lambda grey: stored(Image.fromarray(grey.astype(np.int32) * 257), "tiff"),
    "F to 1": lambda grey: stored(Image.fromarray((grey / 255).astype(np.float32)), "tiff"),
    "F to 255": lambda grey: stored(Image.fromarray(grey.astype(np.float32)), "tiff"),
}


def in_lab(grey) -> Image.Image:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.applyTransform(
        Image.fromarray(grey).convert("RGB"), ImageCms.buildTransform(*profiles, "RGB", "LAB")
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_picture_of_every_mode_is_scaled_from_its_own_range(small, mode):
    grey = small.test.images[0].numpy()
    image = MODES[mode](grey)
    assert image.mode == mode.partition(" ")[0]
    assert np.abs(as_mnist(image).astype(int) - grey).max() <= 1
    large = np.asarray(seven("L", 255, 0))
    difference = as_mnist(MODES[mode](large)).astype(int) - as_mnist(Image.fromarray(large))
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    ("mode", "values"),
    [
        ("I", np.array([[0, 2**31 - 1]], np.int32)),
        ("I", np.array([[-1, 1]], np.int32)),
        ("F", np.array([[0, 256]], np.float32)),
        ("F", np.array([[-1, 1]], np.float32)),
        ("F", np.array([[0, np.nan]], np.float32)),
    ],
)
def test_a_picture_whose_range_is_not_known_is_refused_by_its_mode(mode, values):
    with pytest.raises(ValueError, match=f"mode '{mode}' with values from .*: expected "):
        as_mnist(Image.fromarray(values))


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_a_blank_picture_gives_no_image(ground):
    assert as_mnist(Image.new("L", (100, 100), ground)) is None
    assert as_mnist(Image.new("RGBA", (100, 100), (ground, ground, ground, 0))) is None


@pytest.mark.parametrize(("name", "side", "figure"), [("digits", 8, 8), ("usps", 16, 16), ("emnist-letters", 28, 24)])
def test_a_digit_is_scaled_to_the_size_that_the_dataset_uses(name, side, figure):
    pixels = as_image_of(DATASETS[name], LOOKS["dark on light, colour"])
    assert pixels.shape == (side, side)
    rows, columns = np.nonzero(pixels > 64)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (figure - 1, figure)


def test_a_picture_for_a_colour_dataset_is_cropped_to_its_middle_and_scaled():
    picture = Image.new("RGB", (300, 100), "blue")
    picture.paste("red", (100, 0, 200, 50))
    pixels = as_image_of(DATASETS["cifar10"], picture)
    assert (pixels.shape, pixels.dtype) == ((3, 32, 32), np.uint8)
    assert pixels[:, 4, 16].tolist() == [255, 0, 0]
    assert pixels[:, 28, 16].tolist() == [0, 0, 255]
    assert as_image_of(DATASETS["cifar10"], Image.new("RGB", (300, 100), "blue")) is None


@pytest.mark.long
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
    Image.new("F", (50, 50), -1).save(project / "float.tiff")
    (project / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    for arguments, message in (
        (["--image", "text.png"], "can't be read as an image"),
        (["--image", "blank.png"], "is blank"),
        (["--image", "broken.png"], "can't be read as an image"),
        (
            ["--image", "float.tiff"],
            "--image 'float.tiff' has mode 'F' with values from -1 to -1: expected 0 to 1 or 0 to 255",
        ),
        (["--image", "missing.png"], "FileNotFoundError"),
        (["--index", "320"], "--index 320: expected 0 to 319"),
        (["--index", "1", "--image", "mine.jpg"], "one of the two"),
    ):
        refused = harness("predict", record.run_id, *arguments, *DATA)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


@pytest.mark.long
def test_a_small_image_keeps_its_size_and_a_picture_is_reduced_to_it(project, harness, harness_json):
    run = harness_json("run", "chapter", *SMALL, "--set", "dataset.name=digits")["run_id"]
    seen = harness_json("predict", run, "--index", "3")
    assert [len(row) for row in seen["pixels"]] == [8] * 8
    shown = harness("predict", run, "--index", "3").stdout.splitlines()
    assert [len(line) for line in shown[:8]] == [16] * 8, "a character is half as wide as it is high"
    assert shown[8].startswith("test image 3: prediction ")
    LOOKS["dark on light, colour"].save(project / "mine.jpg")
    mine = harness_json("predict", run, "--image", "mine.jpg")
    assert np.array(mine["pixels"]).shape == (8, 8)


@pytest.mark.long
def test_an_image_in_colour_is_shown_in_colour(project, harness, harness_json, monkeypatch):
    images, _ = write("cifar10", project / "data", monkeypatch)["test"]
    run = harness_json("run", "chapter", *SMALL, *DATA, "--set", "dataset.name=cifar10")["run_id"]
    seen = harness_json("predict", run, "--index", "3", *DATA)
    assert np.array_equal(np.array(seen["pixels"]), images[3].transpose(1, 2, 0))
    assert seen["class_names"][0] == "airplane"
    assert harness("predict", run, "--index", "3", *DATA).returncode == 0
    LOOKS["dark on light, colour"].save(project / "mine.jpg")
    assert np.array(harness_json("predict", run, "--image", "mine.jpg")["pixels"]).shape == (32, 32, 3)


def test_a_row_of_a_table_has_no_picture(project, harness, harness_json):
    table = ("--set", "dataset.name=wine", "--set", "model.name=mlp")
    run = harness_json("run", "chapter", *SMALL, *table)["run_id"]
    seen = harness_json("predict", run, "--index", "3")
    assert (seen["image"], seen["pixels"]) == ("test row 3", [])
    assert seen["class_names"] == ["cultivar 1", "cultivar 2", "cultivar 3"]
    LOOKS["dark on light, colour"].save(project / "mine.jpg")
    refused = harness("predict", run, "--image", "mine.jpg")
    assert refused.returncode == 2
    assert "is a picture, and 'wine' has rows of 13 features" in refused.stderr


@pytest.mark.long
def test_a_damaged_state_is_refused_not_used(config, project, data, harness):
    record = tracked(config, data)
    (path,) = (project / "mlartifacts").rglob("state.pt")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused = harness("predict", record.run_id)
    assert refused.returncode == 2
    assert f"state of run '{record.run_id}' is damaged" in refused.stderr


def test_a_run_that_diverged_is_refused_in_one_line_where_its_outputs_are_not_finite(config, data, harness):
    record = tracked(with_settings(config, {"optimizer.name": "sgd", "optimizer.lr": 1e6}), data)
    assert record.divergence is not None
    refused = harness("predict", record.run_id, *DATA)
    assert refused.returncode == 2, refused.stderr
    what = f"run '{record.run_id}' has a model whose outputs for test image 0 are not finite"
    assert refused.stderr.startswith(f"harness: {what}: expected a run that has not diverged; ")
    assert len(refused.stderr.splitlines()) == 1
