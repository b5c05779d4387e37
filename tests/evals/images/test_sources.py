"""Images as tasks: folders, zip files, arrays; what is left out, what is refused, and what stays as it was."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evals.card import find_card, read_card
from evals.episode import EpisodeSampler
from evals.loading import load_task
from fewshot.core.errors import TaskError, UsageError
from fewshot.core.images import Image
from tests.evals.images.pictures import files, picture, png, write_folder, write_zip

Make = Callable[[Path], Path]


def arrays(classes: int = 3, each: int = 4, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(n, 12, 12, 3) uint8 and (n,) class numbers."""
    kinds = range(first, first + classes)
    drawn = [picture(kind, n)[..., None].repeat(3, -1) for kind in kinds for n in range(each)]
    return np.stack(drawn), np.repeat(kinds, each)


def pickled(path: Path, value: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def npz(path: Path, first: int = 0) -> Path:
    images, labels = arrays(first=first)
    np.savez(path, images=images, labels=labels)
    return path


def mini_imagenet(folder: Path) -> Path:
    for at, part in enumerate(("train", "val", "test")):
        images, labels = arrays(first=3 * at)
        classes = {f"n{name}": np.flatnonzero(labels == name).tolist() for name in np.unique(labels)}
        pickled(folder / f"mini-imagenet-cache-{part}.pkl", {"image_data": images, "class_dict": classes})
    return folder


def cifar_fs(folder: Path) -> Path:
    for at, part in enumerate(("train", "val", "test")):
        images, labels = arrays(first=3 * at)
        pickled(folder / f"CIFAR_FS_{part}.pickle", {"data": images, "labels": labels.tolist()}, protocol=2)
    return folder


def tiered_imagenet(folder: Path) -> Path:
    for at, part in enumerate(("train", "val", "test")):
        images, labels = arrays(first=3 * at)
        pickled(folder / f"{part}_images_png.pkl", [np.frombuffer(png(each), np.uint8) for each in images])
        pickled(folder / f"{part}_labels.pkl", {"label_specific": labels, "label_specific_str": ["a"]})
    return folder


def listed(folder: Path) -> Path:
    """As miniImageNet's images with the lists of Ravi and Larochelle."""
    write_folder(folder, {f"images/{at}.png": png(picture(at // 4, at % 4)) for at in range(36)})
    for part, first in (("train", 0), ("val", 12), ("test", 24)):
        rows = "".join(f"{at}.png,n{at // 4}\n" for at in range(first, first + 12))
        (folder / f"{part}.csv").write_text("filename,label\n" + rows)
    return folder


def with_split_files(folder: Path) -> Path:
    """As CIFAR-FS in files."""
    write_folder(folder, files(9, prefix="data/"))
    for at, part in enumerate(("train", "val", "test")):
        names = "".join(f"class{kind}\n" for kind in range(3 * at, 3 * at + 3))
        write_folder(folder, {f"splits/bertinetto/{part}.txt": names.encode()})
    return folder


SOURCES: dict[str, Make] = {
    "a folder": lambda at: write_folder(at, files()),
    "a folder in folders": lambda at: write_folder(at, files(prefix="some/where/")),
    "a zip": lambda at: write_zip(at / "pets.zip", files(prefix="pets/")),
    "a compressed zip": lambda at: write_zip(at / "pets.ZIP", files(), zipfile.ZIP_DEFLATED),
    "an npz": lambda at: npz(at / "pets.npz"),
}
SPLIT: dict[str, Make] = {
    "folders of parts": lambda at: write_folder(
        at, {f"{part}/{kind}/{n}.png": png(picture(at, n)) for at, (part, kind) in enumerate(PARTS) for n in range(4)}
    ),
    "miniImageNet": mini_imagenet,
    "CIFAR-FS": cifar_fs,
    "tieredImageNet": tiered_imagenet,
    "miniImageNet with lists": listed,
    "CIFAR-FS in files": with_split_files,
}
PARTS = [("train", "a"), ("train", "b"), ("val", "c"), ("val", "d"), ("test", "e"), ("test", "f")]


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_a_folder_per_class_is_a_task(make: Make, tmp_path: Path) -> None:
    task = load_task(make(tmp_path))
    assert (task.info.modality, task.info.language) == ("image", "zxx")
    assert len(task.labels) == 3
    assert sum(map(len, task.rows.values())) == 12
    assert all(isinstance(row.text, Image) for rows in task.rows.values() for row in rows)


@pytest.mark.parametrize("make", SPLIT.values(), ids=SPLIT)
def test_parts_with_classes_of_their_own_are_a_class_split(make: Make, tmp_path: Path) -> None:
    (split,) = load_task(make(tmp_path)).class_splits.values()
    assert len({len(split[part]) for part in ("train", "valid", "test")} - {0}) == 1


def test_parts_that_share_classes_are_rows_of_parts(tmp_path: Path) -> None:
    write_folder(tmp_path, {f"train/{name}": held for name, held in files().items()})
    write_folder(tmp_path, {f"test/class{kind}/9.png": png(picture(kind, 9)) for kind in range(3)})
    task = load_task(tmp_path)
    assert {part: len(rows) for part, rows in task.rows.items()} == {"train": 12, "test": 3}
    assert not task.class_splits
    assert "share classes" in task.notes[0]


@pytest.mark.promise(141)
def test_the_name_of_an_image_tells_nothing_of_its_class_and_stays_where_the_file_moves(tmp_path: Path) -> None:
    first, second = write_folder(tmp_path / "one", files()), write_zip(tmp_path / "two.zip", files())
    tasks = [load_task(first), load_task(second)]
    texts = [[row.text for row in task.rows["all"]] for task in tasks]
    assert texts[0] == texts[1]
    assert not any("class" in text for text in texts[0])
    assert tasks[0].data_fingerprint == tasks[1].data_fingerprint
    manifests = [EpisodeSampler.of(task, 3, 1, 2).manifest(5) for task in tasks]
    assert manifests[0] == manifests[1]


def test_copies_of_an_image_are_left_out_as_copies_of_a_text_are(tmp_path: Path) -> None:
    write_folder(tmp_path, files() | {"class0/copy.png": png(picture(0)), "class1/copy.png": png(picture(2, 1))})
    assert load_task(tmp_path).notes == (
        "left out 1 rows that repeat an earlier text",
        "left out 2 rows whose text stands under two labels",
    )


SPOILT: dict[str, tuple[dict[str, bytes], str]] = {
    "no image": ({"class0/x.png": b"hello"}, "1 images that cannot be read"),
    "cut short": ({"class0/x.png": png(picture(0, 9))[:60]}, "1 images that cannot be read"),
    "empty": ({"class0/x.png": b""}, "1 images that cannot be read"),
    "a wrong checksum": ({"class0/x.png": png(picture(0, 9))[:-14] + b"\0" * 14}, "1 images that cannot be read"),
    "a program": ({"class0/x.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n(rm) run"}, "1 images that cannot be read"),
    "another file": ({"class0/readme.txt": b"hello"}, "1 files that are no images"),
    "in no folder": ({"x.png": png(picture(0, 9))}, "1 images that lie in no folder"),
}


@pytest.mark.parametrize(("more", "told"), SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_what_is_no_image_is_left_out_and_told(more: dict[str, bytes], told: str, zipped: bool, tmp_path: Path) -> None:
    content = files() | more
    source = write_zip(tmp_path / "all.zip", content) if zipped else write_folder(tmp_path / "all", content)
    task = load_task(source)
    assert len(task.rows["all"]) == 12
    assert any(told in note for note in task.notes)


def test_what_systems_write_beside_data_is_not_even_told(tmp_path: Path) -> None:
    write_folder(tmp_path, files() | {".DS_Store": b"x", "class0/Thumbs.db": b"x", "__MACOSX/class0/._0.png": b"x"})
    assert load_task(tmp_path).notes == ()


def damaged(path: Path) -> Path:
    """A zip with one member whose bytes were changed."""
    write_zip(path, files())
    content = bytearray(path.read_bytes())
    content[content.index(b"IHDR") + 10] ^= 0xFF
    path.write_bytes(bytes(content))
    return path


def test_a_corrupt_member_is_left_out_and_named(tmp_path: Path) -> None:
    task = load_task(damaged(tmp_path / "all.zip"))
    assert len(task.rows["all"]) == 11
    assert "class0/0.png" in task.notes[0]


@pytest.mark.promise(142)
@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_an_image_that_unpacks_to_very_much_is_not_unpacked(
    zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fewshot.core.images.MAX_BYTES", 50_000)
    content = files() | {"class0/x.png": b"\0" * 50_001}
    bomb = write_zip(tmp_path / "all.zip", content, zipfile.ZIP_DEFLATED) if zipped else write_folder(tmp_path, content)
    task = load_task(bomb)
    assert len(task.rows["all"]) == 12
    assert "50,001 bytes are more" in task.notes[0]


def test_what_unpacks_to_a_thousand_times_its_size_is_not_unpacked(tmp_path: Path) -> None:
    bomb = write_zip(tmp_path / "all.zip", files() | {"class0/x.png": b"\0" * (2 << 20)}, zipfile.ZIP_DEFLATED)
    (note,) = load_task(bomb).notes
    assert "times its size" in note


def test_texts_with_pictures_beside_them_are_texts(tmp_path: Path) -> None:
    write_folder(tmp_path, files() | {"train.csv": b"text,label\ngood,a\nbad,b\n"})
    assert load_task(tmp_path).info.modality == "text"


def test_an_archive_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    first = load_task(write_zip(tmp_path / "all.zip", files(3)))
    second = load_task(write_zip(tmp_path / "all.zip", files(4)))
    assert (len(first.labels), len(second.labels)) == (3, 4)


def test_an_image_of_too_many_pixels_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fewshot.core.images.MAX_PIXELS", 200)
    task = load_task(write_folder(tmp_path, files() | {"class0/x.png": png(picture(9, size=15))}))
    assert len(task.rows["all"]) == 12
    assert "15 x 15 pixels are more" in task.notes[0]


@pytest.mark.promise(142)
@pytest.mark.parametrize("name", ["../up.png", "/etc/x.png", "a/../../x.png", "C:/x.png", "..\\up.png"])
def test_an_archive_with_members_outside_of_it_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="would lie outside of the archive"):
        load_task(write_zip(tmp_path / "all.zip", files() | {name: b"x"}))
    assert list(tmp_path.iterdir()) == [tmp_path / "all.zip"]


REFUSED: dict[str, tuple[Make, str]] = {
    "no zip": (lambda at: write_folder(at, {"all.zip": b"hello"}) / "all.zip", "not a readable zip file"),
    "an empty zip": (lambda at: write_zip(at / "all.zip", {}), "no images in it"),
    "one class": (lambda at: write_zip(at / "all.zip", files(1)), "at least two are needed"),
    "not there": (lambda at: at / "all.zip", "no such file"),
    "no arrays": (lambda at: write_folder(at, {"all.npz": b"hello"}) / "all.npz", "not a readable .npz file"),
    "arrays of floats": (
        lambda at: pickled(at / "x.pkl", {"data": np.zeros((2, 4, 4)), "labels": [0, 1]}),
        "save them as .npz",
    ),
    "no labels": (lambda at: pickled(at / "x.pkl", {"data": arrays()[0]}), "no labels in it"),
    "too few labels": (lambda at: pickled(at / "x.pkl", {"data": arrays()[0], "labels": [0, 1]}), "12 images and 2"),
    "other names": (lambda at: pickled(at / "x.pkl", {"pictures": arrays()[0]}), "no images in it under"),
    "a position beyond": (
        lambda at: pickled(at / "x.pkl", {"image_data": arrays()[0], "class_dict": {"a": [99]}}),
        "has an image 99",
    ),
}


@pytest.mark.parametrize(("make", "told"), REFUSED.values(), ids=REFUSED)
def test_what_holds_no_task_is_refused_in_one_line(make: Make, told: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=told) as caught:
        load_task(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_class_with_too_few_images_is_told_before_any_work(tmp_path: Path) -> None:
    task = load_task(write_folder(tmp_path, files() | {"single/1.png": png(picture(7))}))
    with pytest.raises(TaskError, match="single"):
        EpisodeSampler.of(task, 4, 1, 2)


@pytest.mark.parametrize("option", ["text", "label", "encoding", "sheet", "kind"])
def test_how_texts_are_read_is_not_said_of_images(option: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"--{option} say how texts are read"):
        load_task(write_folder(tmp_path, files()), **{option: "classification" if option == "kind" else "x"})


def card(folder: Path, **changes: object) -> Path:
    """A card of two archives of alphabets."""
    latin = files(4, prefix="drawn/latin/")
    write_zip(folder / "drawn/one.zip", latin)
    write_zip(folder / "drawn/two.zip", files(6, prefix="drawn/greek/", first=4) | latin)
    split = {"train": ["latin"], "valid": ["greek/class4"], "test": ["greek/class5"]}
    source: object = {"path": "drawn", "archives": ["one.zip", "two.zip"], "turned": True}
    content = {"name": "drawn", "modality": "image", "source": source, "class_splits": {"s": split}, **changes}
    path = folder / "drawn.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    (tmp_path / "drawn").mkdir()
    return tmp_path


def test_turned_images_are_further_classes_of_training_alone(drawn: Path) -> None:
    task = load_task(card(drawn))
    assert len(task.rows["all"]) == 4 * 4 * 4 + 6 * 4
    split = task.class_splits["s"]
    assert len(split["train"]) == 4 * 4
    assert {len(split[part]) for part in ("valid", "test")} == {1}
    assert all("turned" not in name for part in ("valid", "test") for name in split[part])
    row = next(row for row in task.rows["all"] if row.label == "latin/class0 turned 90")
    assert isinstance(row.text, Image)
    assert row.text.turn == 90


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"class_splits": {"s": {"train": ["cyrillic"], "test": ["latin"]}}}, "no class or folder of classes"),
        ({"class_splits": {"s": {"train": ["latin"], "test": ["latin/class0"]}}}, "is in train and test"),
        ({"source": {"path": "drawn", "archives": ["three.zip"]}}, "three.zip"),
    ],
    ids=["an unknown class", "a class in two parts", "an archive that is not there"],
)
def test_a_card_that_does_not_fit_its_images_is_refused(changes: dict[str, object], told: str, drawn: Path) -> None:
    with pytest.raises(TaskError, match=told):
        load_task(card(drawn, **changes))


def test_all_of_omniglot_is_a_variant_whose_test_is_the_evaluation_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = read_card(find_card("omniglot")[0], "full").class_splits["alphabets"]
    names = {part: list(named) for part, named in split.items()}
    assert {part: len(named) for part, named in names.items()} == {"train": 25, "valid": 5, "test": 20}
    background, evaluation = [*names["train"], *names["valid"]], names["test"]
    numbers = iter(range(10_000))
    for archive, alphabets in (("images_background", background), ("images_evaluation", evaluation)):
        paths = [f"{archive}/{name}/character01/{n}.png" for name in alphabets for n in (0, 1)]
        content = {path: _numbered(next(numbers)) for path in paths}
        write_zip(_folder(tmp_path / "omniglot") / f"{archive}.zip", content)
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    task = load_task("omniglot[full]")
    assert {part: len(named) for part, named in task.class_splits["alphabets"].items()} == {
        "train": 100,
        "valid": 5,
        "test": 20,
    }


def _numbered(number: int) -> bytes:
    return png(np.array([[number // 256, number % 256]], np.uint8))


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path
