"""Images by name: what they are the same as, and the pixels that are read of them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from fewshot.core.errors import TaskError, UsageError
from fewshot.core.images import Image, InFile, InMemory, as_image, pixels
from tests.evals.images.pictures import picture, png

GREY = picture(1)


def sent(image: Image) -> Image:
    """As another process has it."""
    return pickle.loads(pickle.dumps(image))  # noqa: S301


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, sent], ids=["copied", "deeply", "sent"])
def test_an_image_that_is_copied_or_sent_away_still_knows_its_place(
    copied: Callable[[Image], Image], tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(GREY))
    image = as_image(path).turned(90)
    again = copied(image)
    assert (again, again.place, again.turn) == (image, InFile(path), 90)
    assert hash(again) == hash(str(image))


def test_four_quarter_turns_are_none() -> None:
    image = as_image(GREY)
    turned = [image.turned(90 * quarter) for quarter in range(5)]
    assert turned[4] == image
    assert turned[1].turned(270) == image
    assert len(set(turned)) == 4
    shown = pixels(turned, 12, 1)[:, 0]
    for quarter in range(4):
        np.testing.assert_array_equal(shown[quarter], np.rot90(GREY, quarter))


def rgb(colour: tuple[int, ...], mode: str) -> Pillow.Image:
    return Pillow.new(mode, (6, 4), colour)


FORMS: dict[str, tuple[Pillow.Image, tuple[int, int, int]]] = {
    "one bit": (Pillow.new("1", (6, 4), 1), (255, 255, 255)),
    "grey": (Pillow.new("L", (6, 4), 40), (40, 40, 40)),
    "colours": (rgb((10, 200, 30), "RGB"), (10, 200, 30)),
    "a palette": (rgb((10, 200, 30), "RGB").convert("P", palette=Pillow.Palette.ADAPTIVE), (10, 200, 30)),
    "black that is transparent": (rgb((0, 0, 0, 0), "RGBA"), (255, 255, 255)),
    "half transparent": (rgb((0, 0, 0, 128), "RGBA"), (127, 127, 127)),
    "grey and transparent": (rgb((0, 0), "LA"), (255, 255, 255)),
    "sixteen bits": (Pillow.fromarray(np.full((4, 6), 40 * 257, np.uint16)), (40, 40, 40)),
}


@pytest.mark.parametrize(("drawn", "seen"), FORMS.values(), ids=FORMS)
def test_an_image_of_any_form_is_read_as_it_looks(
    drawn: Pillow.Image, seen: tuple[int, int, int], tmp_path: Path
) -> None:
    drawn.save(tmp_path / "a.png")
    image = as_image(tmp_path / "a.png")
    shown = pixels([image], 5, 3)
    assert shown.shape == (1, 3, 5, 5)
    assert shown.dtype == np.uint8
    np.testing.assert_allclose(shown[0].mean(axis=(1, 2)), seen, atol=1)
    np.testing.assert_allclose(pixels([image], 5, 1).mean(), np.dot(seen, (0.299, 0.587, 0.114)), atol=1)


def test_a_photograph_is_upright_as_its_camera_says(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 3
    Pillow.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(pixels([as_image(tmp_path / "a.png")], 12, 1)[0, 0], np.rot90(GREY, 2))


@pytest.mark.parametrize(
    "values",
    [GREY, GREY[..., None], GREY[..., None].repeat(3, -1), GREY / 255, (GREY / 255).astype(np.float32)],
    ids=["uint8", "a channel", "colours", "floats", "float32"],
)
def test_pixels_in_memory_are_images(values: np.ndarray) -> None:
    np.testing.assert_array_equal(pixels([as_image(values)], 12, 1)[0, 0], GREY)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(4),
        np.zeros((2, 2, 4)),
        np.zeros((2, 2, 2, 2)),
        np.full((2, 2), np.nan),
        np.full((2, 2), 2.0),
        np.zeros((0, 3)),
        np.zeros((2, 2), np.int64),
    ],
    ids=["a row", "four channels", "a batch", "NaN", "above 1", "nothing", "integers"],
)
def test_what_are_no_pixels_is_refused(values: np.ndarray) -> None:
    with pytest.raises(UsageError, match="pixels are"):
        as_image(values)


@pytest.mark.parametrize("text", ["a text", "image:0123", ""])
def test_a_text_is_no_image(text: str) -> None:
    with pytest.raises(UsageError, match="is a text"):
        pixels([text], 12, 1)


def test_a_file_that_became_another_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(GREY))
    image = as_image(path)
    path.write_bytes(png(picture(2)))
    with pytest.raises(TaskError, match="another image is there"):
        pixels([image], 12, 1)
    path.unlink()
    with pytest.raises(TaskError, match="cannot be read"):
        pixels([image], 12, 1)


def test_a_photograph_that_is_cut_short_is_named_when_it_is_read() -> None:
    whole = png(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), "JPEG")
    with pytest.raises(TaskError, match=r"cat\.jpg: not a readable image"):
        pixels([Image.at(InMemory(whole[: len(whole) // 2], "cat.jpg"))], 12, 1)
