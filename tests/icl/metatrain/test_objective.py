"""Where the loss falls: on label words in the direct objective, on texts in the channel one, and on nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fewshot.core.errors import UsageError
from icl.metatrain import objective as objectives
from icl.metatrain.collation import Batch, Encoded, SequenceEncoder, batches
from icl.metatrain.objective import Shares, n_right, token_losses, weighted_loss
from icl.metatrain.sequences import Mixture, TrainingSequence, draw_sequence
from icl.metatrain.words import lexicon
from icl.models.base import Prompt
from icl.models.local import LocalModel
from tests.icl.metatrain.toys import LETTERS, WORDS, Texts

MIXTURE = Mixture({"random": 1.0}, ("minimal",), way=3, examples=9, instruction=0.0)
LEXICON = lexicon().model_copy(update={"neutral": LETTERS})


@pytest.fixture(scope="module")
def local(toy: Path) -> LocalModel:
    model = LocalModel(str(toy), dtype="float32", device="cpu")
    _ = model.weights
    return model


class Spelling:
    """A tokenizer of single characters; a word is spelled without the blank before it."""

    bos_ids = ()

    def ids(self, prompt: Prompt) -> np.ndarray:
        return np.array([ord(char) for char in prompt.text.strip()])

    def locate(self, text: str, spans: tuple[range, ...]) -> tuple[np.ndarray, tuple[range, ...]]:
        return np.array([ord(char) for char in text]), spans


def encoder(local: LocalModel, limit: int = 200) -> SequenceEncoder:
    return SequenceEncoder(local.tokenizer, limit)


def drawn(local: LocalModel, objective: str = "direct", n: int = 6, limit: int = 200) -> list[Encoded]:
    mixture = replace(MIXTURE, objective=objective)  # type: ignore[arg-type]
    return [encoder(local, limit).encode(draw_sequence(Texts(), mixture, LEXICON, 0, at)) for at in range(n)]


@pytest.mark.parametrize(
    ("objective", "alphabet"), [("direct", LETTERS), ("channel", WORDS)], ids=["direct", "channel"]
)
def test_targets_are_outputs_alone_or_inputs_alone(
    local: LocalModel, objective: str, alphabet: tuple[str, ...]
) -> None:
    batch = Batch.of(drawn(local, objective), with_text=False)
    words = {local.tokenizer.text_of([token]) for token in batch.targets().tolist()}
    assert words
    assert words <= set(alphabet)
    assert batch.n_labels == len(batch.rows)


def test_only_what_stands_before_a_target_and_the_target_itself_move_the_loss(local: LocalModel) -> None:
    (sequence,) = drawn(local, n=1)
    last = max(span.stop for span in sequence.answers)
    before = token_losses(local.weights, Batch.of([sequence], with_text=False))[0]
    longer = replace(
        sequence, ids=torch.cat([torch.tensor(sequence.ids), torch.tensor([9, 9])]).numpy(), others=sequence.others
    )
    after = token_losses(local.weights, Batch.of([longer], with_text=False))[0]
    assert last <= len(sequence)
    assert torch.allclose(before, after, atol=1e-6)


@pytest.mark.parametrize("plain", [("LlamaForCausalLM",), ()], ids=["targets alone", "all logits"])
def test_losses_are_those_of_the_model_itself(
    local: LocalModel, plain: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle: a full forward pass of every sequence alone."""
    monkeypatch.setattr(objectives, "_PLAIN_HEADS", plain)
    sequences = drawn(local)
    (batch,) = batches(sequences, 10_000, with_text=True)
    with torch.no_grad():
        losses, predicted = token_losses(local.weights, batch)
        alone = [local.weights(input_ids=torch.tensor(row[None])).logits[0].log_softmax(-1) for row in batch.ids]
    for row, column, loss, token in zip(batch.rows, batch.columns, losses.tolist(), predicted.tolist(), strict=True):
        expected = alone[row][column - 1]
        assert loss == pytest.approx(-float(expected[batch.ids[row, column]]), abs=1e-4)
        assert token == int(expected.argmax())


def test_batches_hold_every_sequence_once_and_keep_to_their_size(local: LocalModel) -> None:
    sequences = drawn(local, n=20)
    found = list(batches(sequences, 80, with_text=False))
    assert len(found) > 3
    assert all(batch.ids.size <= 80 for batch in found)
    assert sum(batch.n_labels for batch in found) == sum(each.n_targets for each in sequences)


def test_long_batches_hold_sequences_of_about_one_length(local: LocalModel) -> None:
    short = Encoded(np.ones(10, np.int64), (range(3, 4),), np.zeros(10, bool))
    long = replace(short, ids=np.ones(100, np.int64), others=np.zeros(100, bool))
    found = list(batches([*[short] * 30, *[long] * 30], 100_000, with_text=False))
    assert sum(batch.ids.size for batch in found) < 1.2 * 30 * 110
    assert len(list(batches([short, long], 100_000, with_text=False))) == 1


def test_every_nth_token_of_the_text_counts(local: LocalModel) -> None:
    sequence = draw_sequence(Texts(), MIXTURE, LEXICON, 0, 0)
    all_of_them = encoder(local).encode(sequence)
    some = SequenceEncoder(local.tokenizer, 200, text_every=3).encode(sequence)
    assert some.answers == all_of_them.answers
    assert not (some.others & ~all_of_them.others).any()
    assert 0 < some.others.sum() < all_of_them.others.sum()
    steps = np.diff(np.flatnonzero(some.others))
    assert (steps % 3 == 0).all()


@pytest.mark.parametrize("certainty", [1.0, 0.7])
def test_the_gradient_does_not_depend_on_how_a_step_is_cut(local: LocalModel, certainty: float) -> None:
    drawn_ones = [draw_sequence(Texts(), MIXTURE, LEXICON, 0, at) for at in range(8)]
    sequences = [encoder(local).encode(replace(each, certainty=(certainty,) * len(each.spans))) for each in drawn_ones]
    assert any(each.alternatives for each in sequences) == (certainty < 1)
    shares = Shares(1 / sum(each.n_targets for each in sequences), 0.1 / sum(int(e.others.sum()) for e in sequences))
    found = []
    for size in (40, 10_000):
        local.weights.zero_grad()
        for batch in batches(sequences, size, with_text=True):
            weighted_loss(token_losses(local.weights, batch)[0], batch, shares).backward()
        found.append(torch.cat([value.grad.flatten() for value in local.weights.parameters()]))
    local.weights.zero_grad()
    assert torch.allclose(*found, atol=1e-6)


def test_among_words_what_is_not_certain_is_shared_too(local: LocalModel) -> None:
    sequence = draw_sequence(Texts(), MIXTURE, LEXICON, 0, 0)
    batch = Batch.of([encoder(local).encode(replace(sequence, certainty=(0.6,) * len(sequence.spans)))], False)
    losses, _ = token_losses(local.weights, batch, among_words=True)
    assert torch.isfinite(losses).all()
    last = [at for at in range(len(batch.rows)) if batch.columns[at] == batch.columns[: batch.n_labels].max()]
    assert float(torch.exp(-losses[last].detach()).sum()) == pytest.approx(1.0, abs=1e-5)


def test_among_words_only_those_of_the_sequence_compete(local: LocalModel) -> None:
    """The oracle: a softmax over the words that answers of the sequence have."""
    sequences = drawn(local)
    (batch,) = batches(sequences, 10_000, with_text=True)
    with torch.no_grad():
        free, _ = token_losses(local.weights, batch)
        losses, predicted = token_losses(local.weights, batch, among_words=True)
    assert torch.equal(free[batch.n_labels :], losses[batch.n_labels :])
    for at in range(batch.n_labels):
        row, column = batch.rows[at], batch.columns[at]
        words = sorted({int(batch.ids[row, batch.columns[i]]) for i in range(batch.n_labels) if batch.rows[i] == row})
        logits = local.weights(input_ids=torch.tensor(batch.ids[row][None])).logits[0, column - 1, words]
        expected = -logits.log_softmax(-1)[words.index(int(batch.ids[row, column]))]
        assert float(losses[at]) == pytest.approx(float(expected), abs=1e-4)
        assert int(predicted[at]) == words[int(logits.argmax())]


def test_what_is_not_certain_is_shared_by_the_other_words(local: LocalModel) -> None:
    """The oracle: cross entropy with the distribution itself."""
    sequence = draw_sequence(Texts(), MIXTURE, LEXICON, 0, 0)
    unsure = replace(sequence, certainty=tuple(0.6 + 0.01 * at for at in range(len(sequence.spans))))
    encoded = encoder(local).encode(unsure)
    batch = Batch.of([encoded], with_text=True)
    losses, predicted = token_losses(local.weights, batch)
    loss = float(weighted_loss(losses, batch, Shares(1.0, 0.0)))
    words = [int(local.tokenizer.ids(Prompt(f" {word}"))[len(local.tokenizer.bos_ids)]) for word in sequence.words]
    logits = local.weights(input_ids=torch.tensor(encoded.ids[None])).logits[0].log_softmax(-1)
    expected = 0.0
    answerable = [at for at, counts in enumerate(sequence.answerable) if counts]
    for span, at in zip(encoded.answers, answerable, strict=True):
        own = int(encoded.ids[span.start])
        for word in words:
            share = unsure.certainty[at] if word == own else (1 - unsure.certainty[at]) / (len(words) - 1)
            expected -= share * float(logits[span.start - 1, word])
    assert loss == pytest.approx(expected, abs=1e-3)
    assert n_right(predicted, batch) == n_right(predicted[: batch.n_labels], Batch.of(drawn(local, n=1), False))
    assert batch.n_labels + batch.n_alternatives + int(encoded.others.sum()) == len(batch.rows)


@pytest.mark.parametrize(
    ("words", "classes", "expected"),
    [
        (("aa", "bb"), (0,), {"b": 0.4}),
        (("aa", "bb", "cc"), (1,), {"a": 0.2, "c": 0.2}),
        (("ab", "ac", "d"), (0,), {"d": 0.2}),
        (("ab", "ac", "d"), (2,), {"a": 0.4}),
        (("ab", "ac"), (1,), {}),
    ],
)
def test_words_that_begin_alike_share_a_token(
    words: tuple[str, ...], classes: tuple[int, ...], expected: dict[str, float]
) -> None:
    spelling = SequenceEncoder(Spelling(), 100)  # type: ignore[arg-type]
    word = words[classes[0]]
    sequence = TrainingSequence(f"x {word}", (range(2, 2 + len(word)),), (True,), classes, words, "canonical", (0.6,))
    encoded = spelling.encode(sequence)
    found = {chr(each.token): each.share for each in encoded.alternatives}
    assert found == pytest.approx(expected)
    batch = Batch.of([encoded], with_text=False)
    assert batch.weights[: batch.n_labels].tolist() == pytest.approx(
        [1 - sum(expected.values()), *[1.0] * (len(word) - 1)]
    )


def test_certain_answers_have_no_alternatives(local: LocalModel) -> None:
    sequence = draw_sequence(Texts(), MIXTURE, LEXICON, 0, 0)
    sure = replace(sequence, certainty=(1.0,) * len(sequence.spans))
    assert encoder(local).encode(sure).alternatives == encoder(local).encode(sequence).alternatives == ()


def test_later_tokens_compete_with_words_that_begin_alike() -> None:
    ids = np.array([0, 5, 6, 1, 5, 7, 1, 8, 9])
    batch = Batch.of([Encoded(ids, (range(1, 3), range(4, 6), range(7, 9)), ids < 0)], with_text=False)
    targets, tokens = batch.rivals
    found = [sorted(tokens[targets == at].tolist()) for at in range(6)]
    assert found == [[5, 8], [6, 7], [5, 8], [6, 7], [5, 8], [9]]


def test_text_without_answers_has_no_rivals() -> None:
    batch = Batch.of([Encoded(np.arange(4), (), np.array([False, True, True, True]))], with_text=True)
    assert [len(each) for each in batch.rivals] == [0, 0]


def test_an_answer_is_right_if_all_its_tokens_are() -> None:
    ids = torch.tensor([[0, 1, 2, 3, 4, 5]]).numpy()
    batch = Batch.of([Encoded(ids[0], (range(1, 3), range(4, 6)), ids[0] < 0)], with_text=False)
    assert n_right(torch.tensor([1, 2, 4, 5]), batch) == 2
    assert n_right(torch.tensor([1, 9, 4, 5]), batch) == 1
    assert n_right(torch.tensor([9, 9, 9, 5]), batch) == 0


def test_long_sequences_lose_their_last_examples(local: LocalModel) -> None:
    whole, cut = drawn(local, n=1)[0], drawn(local, n=1, limit=20)[0]
    assert len(cut) <= 20
    assert cut.ids.tolist() == whole.ids[: len(cut)].tolist()
    assert cut.answers == tuple(span for span in whole.answers if span.stop <= 20)


def test_label_words_that_the_model_does_not_know_are_refused(local: LocalModel) -> None:
    sequence = TrainingSequence("w1 -> 긍정", (range(5, 8),), (True,), (0,), ("긍정", "부정"), "canonical")
    with pytest.raises(UsageError, match="'긍정' and '부정' are the same tokens"):
        encoder(local).encode(sequence)
