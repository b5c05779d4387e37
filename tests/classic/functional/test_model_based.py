"""Learners that read the support into a memory, a sequence or fast weights, against hand-computed steps."""

from __future__ import annotations

from math import exp, log, tanh
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.testing import assert_close

from classic.algorithms.mann import MANN, cosines, least_used, write
from classic.algorithms.matching import Matching
from classic.algorithms.metanet import MetaNet, head_gradients, prepared, representation_gradients
from classic.algorithms.protonet import ProtoNet
from classic.algorithms.snail import SNAIL, attend, convolve
from classic.algorithms.tapnet import TapNet
from classic.functional.sequence import as_sequence, reading_order
from classic.networks import Identity, Residual
from fewshot.core.errors import UsageError
from tests.classic.functional.test_metric_based import plane
from tests.classic.functional.toy import INPUTS, algorithms, generator, padded, parameters, task, tasks

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, TensorTask

READERS = {name: each for name, each in algorithms().items() if each.name in ("mann", "snail", "metanet", "tapnet")}
EACH = pytest.mark.parametrize("algorithm", READERS.values(), ids=READERS.keys())


def numbers(*values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def on_the_sphere(one: TensorTask) -> TensorTask:
    """The same task with vectors of length 1."""
    rows = {name: torch.nn.functional.normalize(getattr(one, name), dim=-1) for name in ("support_x", "query_x")}
    return one._replace(**rows)


class TestSequence:
    @pytest.mark.promise(139)
    @EACH
    def test_a_support_is_a_set(self, algorithm: Algorithm) -> None:
        params, one = parameters(algorithm), task()
        order = torch.tensor([3, 0, 5, 1, 4, 2])
        moved = one._replace(support_x=one.support_x[order], support_y=one.support_y[order])
        expected = algorithm.logits(algorithm.adapt(params, one), one.query_x)
        assert_close(algorithm.logits(algorithm.adapt(params, moved), one.query_x), expected)

    def test_absent_rows_come_first_and_classes_are_numbered_by_their_first_row(self) -> None:
        one = plane([[3, 0], [1, 0], [2, 0]], [0, 1, 1], [[0, 0]], [0])
        one = one._replace(support_mask=numbers(1, 1, 0))
        direction = reading_order(numbers([0.0, 0.0], [1.0, 0.0]), numbers(1, 1)).tolist()
        descending = direction == [1, 0]
        sequence = as_sequence(one.support_x, one, 4)
        first, last = (3.0, 1.0) if descending else (1.0, 3.0)
        assert sequence.x[:, 0].tolist() == [2.0, first, last]
        assert sequence.mask.tolist() == [0, 1, 1]
        assert sequence.y.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
        outputs = numbers([10.0, 20.0, 30.0, 40.0])
        assert sequence.by_class(outputs).tolist() == [[10, 20] if descending else [20, 10]]

    @pytest.mark.parametrize("name", ["mann", "snail"])
    def test_more_classes_than_slots_are_refused(self, name: str) -> None:
        algorithm = READERS[name]
        params, batch = parameters(algorithm), padded(tasks(1), classes=4)
        one = type(batch)(*(field[0] for field in batch))
        with pytest.raises(UsageError, match="a task of 7 classes does not fit 5 label slots; train with slots=7"):
            algorithm.adapt(params, one)


class TestMemory:
    def test_three_writes_by_hand(self) -> None:
        """Three cells, one head: a quarter of a key goes to the cell that was read last, the rest to a fresh one."""
        memory, read = numbers([0, 0], [0, 0], [0, 0]), numbers([0, 0, 0])
        keys = numbers([4.0, 0.0], [0.0, 4.0], [8.0, 8.0])
        use = numbers(0, 0, 0)
        least = least_used(use, 1)
        assert least.tolist() == [1, 0, 0]
        memory, weights = write(memory, keys[:1], numbers(0.25)[0], read, least)
        assert memory.tolist() == [[3, 0], [0, 0], [0, 0]]
        assert weights.tolist() == [[0.75, 0, 0]]

        read = numbers([1.0, 0, 0])
        use = 0.5 * use + read[0] + weights[0]
        assert use.tolist() == [1.75, 0, 0]
        memory, weights = write(memory, keys[1:2], numbers(0.25)[0], read, least_used(use, 1))
        assert memory.tolist() == [[3, 1], [0, 3], [0, 0]]

        read = numbers([0.5, 0.5, 0])
        use = 0.5 * use + read[0] + weights[0]
        assert use.tolist() == [1.625, 1.25, 0]
        memory, weights = write(memory, keys[2:], numbers(0.25)[0], read, least_used(use, 1))
        assert memory.tolist() == [[4, 2], [1, 4], [6, 6]]

        use = 0.5 * use + numbers(0.0, 0.0, 0.0) + weights[0]
        assert use.tolist() == [0.9375, 0.75, 0.75]
        memory, _ = write(memory, keys[:1], numbers(0.0)[0], read, least_used(use, 1))
        assert memory.tolist() == [[4, 2], [4, 0], [6, 6]], "the least used cell is emptied before it is written"

    def test_cells_that_tie_are_not_all_written(self) -> None:
        assert least_used(numbers([0, 0, 0, 0], [2, 1, 1, 0]), 2).tolist() == [[1, 1, 0, 0], [0, 1, 0, 1]]

    def test_the_cosine_with_an_empty_cell_is_zero_and_has_a_slope(self) -> None:
        memory = numbers([0.0, 0.0], [0.0, 3.0]).requires_grad_()
        near = cosines(numbers([2.0, 2.0]), memory)
        assert_close(near, numbers([0.0, 0.5**0.5]))
        near.sum().backward()
        assert memory.grad is not None
        assert memory.grad.isfinite().all()

    def test_a_step_reads_with_what_it_has_just_written(self) -> None:
        """One cell, so that the read weight is 1: what is read is (1 - gate) times the key of this very step."""
        algorithm = MANN(Identity(2), slots=2, hidden_state=3, cells=1, width=2, reads=1)
        params = parameters(algorithm)
        state = algorithm._blank(numbers([0.0, 0.0]))
        after = algorithm.step(params, state, numbers([1.0, 2.0]))
        key = (after.output @ params["meta.key.weight"].mT + params["meta.key.bias"]).tanh()
        assert_close(after.read, 0.5 * key)
        assert_close(after.used, numbers([1.5]))

    @pytest.mark.parametrize("shot", [1, 2])
    def test_training_may_start_as_a_matching_network(self, shot: int) -> None:
        one = on_the_sphere(task(shot=shot))
        algorithm, matching = (
            MANN(Identity(INPUTS), reads=2, temperature=0.1, start="matching"),
            Matching(Identity(INPUTS)),
        )
        found = algorithm.logits(algorithm.adapt(parameters(algorithm), one), one.query_x)
        expected = matching.logits(matching.adapt({}, one), one.query_x)
        assert found.argmax(-1).tolist() == expected.argmax(-1).tolist()

    @pytest.mark.parametrize(
        "arguments",
        [{"start": "cosine"}, {"start": "matching", "reads": 1}, {"temperature": 0}, {"cells": 3, "reads": 4}],
    )
    def test_arguments_without_a_meaning_are_refused(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match=list(arguments)[-1]):
            MANN(Identity(2), **arguments)

    def test_an_embedding_that_would_make_a_huge_controller_is_refused(self) -> None:
        with pytest.raises(UsageError, match="2048 columns is too wide for that; use start=random"):
            MANN(Identity(2048), start="matching")

    def test_a_label_arrives_one_step_late(self) -> None:
        """The label of the first row decides the state after the second, and not that after the first."""
        algorithm = MANN(Identity(2), slots=2, hidden_state=3, cells=4, width=2, reads=1)
        params, blank = parameters(algorithm), algorithm._blank(numbers([0.0, 0.0]))
        outputs = []
        for label in (numbers([1.0, 0.0]), numbers([0.0, 1.0])):
            first = algorithm.step(params, blank, numbers([1.0, 2.0]))
            second = algorithm.step(params, first._replace(label=label), numbers([0.5, 0.5]))
            outputs.append((first.output, second.output))
        assert_close(outputs[0][0], outputs[1][0])
        assert (outputs[0][1] - outputs[1][1]).abs().max() > 1e-3


class TestTemporalConvolution:
    def test_a_gated_causal_convolution_by_hand(self) -> None:
        """One column, one filter: tanh(2 now + before) * sigmoid(now - before + 1)."""
        layer = {
            "now.weight": numbers([2.0], [1.0]),
            "now.bias": numbers(0.0, 1.0),
            "before.weight": numbers([1.0], [-1.0]),
            "before.bias": numbers(0.0, 0.0),
        }
        found = convolve(layer, numbers([1.0], [0.5]), numbers([0.0], [1.0]))
        expected = [tanh(2) / (1 + exp(-2)), tanh(2) / (1 + exp(-0.5))]
        assert_close(found, numbers(*expected)[:, None])

    def test_attention_by_hand(self) -> None:
        """Keys 1 and 2, query 2, one column: scores 2, 4, and 4 with itself, divided by the root of 1."""
        layer = {f"{part}.weight": numbers([1.0]) for part in ("query", "key")} | {"value.weight": numbers([10.0])}
        layer |= {f"{part}.bias": numbers(0.0) for part in ("query", "key", "value")}
        past, now = numbers([1.0], [2.0]), numbers([2.0])
        weights = numbers(2.0, 4.0, 4.0).softmax(0)
        everything = attend(layer, now, past, torch.tensor([[True, True]]), itself=True)
        assert_close(everything, (weights * numbers(10.0, 20.0, 20.0)).sum().reshape(1, 1))
        assert_close(attend(layer, now, past, torch.tensor([[True, False]])), numbers([10.0]))

    @pytest.mark.parametrize(("length", "dilations"), [(1, [1]), (4, [1, 2]), (5, [1, 2, 4]), (26, [1, 2, 4, 8, 16])])
    def test_dilations_double_until_they_span_the_sequence(self, length: int, dilations: list[int]) -> None:
        algorithm = SNAIL(Identity(2), length=length)
        found = [dilation for kind, _, dilation in algorithm.layers if kind == "convolve"]
        assert found == dilations * 2

    def test_sizes_are_those_of_the_paper(self) -> None:
        sizes = [layer[1:] for layer in SNAIL(Identity(2)).layers if layer[0] == "attend"]
        assert sizes == [(64, 32), (256, 128), (512, 256)]

    def test_a_query_is_the_last_element_of_the_sequence(self) -> None:
        """What is computed for queries beside the support is what the support's own pass computes for its last row."""
        algorithm = SNAIL(Identity(INPUTS), slots=3, filters=4, length=7)
        params, one = parameters(algorithm), task()
        fast = algorithm.adapt(params, one)
        support = fast.support._replace(x=fast.support.x[:-1], mask=fast.support.mask[:-1])
        before_last = fast._replace(support=support, inputs=[each[:-1] for each in fast.inputs])
        unlabelled = torch.cat([fast.support.y[:-1], fast.support.y.new_zeros(1, 3)])
        columns = torch.cat([fast.support.x, unlabelled], dim=-1)
        rows = torch.arange(len(columns))
        for at, (kind, _, dilation) in enumerate(algorithm.layers):
            layer = {key.removeprefix(f"meta.{at}."): value for key, value in params.items()}
            if kind == "attend":
                new = attend(layer, columns, columns, rows[None, :] <= rows[:, None])
            else:
                shifted = torch.cat([columns.new_zeros(dilation, columns.shape[-1]), columns])[: len(columns)]
                new = convolve(layer, columns, shifted)
            columns = torch.cat([columns, new], dim=-1)
        outputs = columns[-1:] @ params["meta.out.weight"].mT + params["meta.out.bias"]
        assert_close(algorithm.logits(before_last, fast.support.x[-1:]), support.by_class(outputs))

    def test_training_may_start_as_a_matching_network(self) -> None:
        one = on_the_sphere(task())
        algorithm, matching = (
            SNAIL(Identity(INPUTS), slots=5, filters=4, start="matching"),
            Matching(Identity(INPUTS), 0.2),
        )
        found = algorithm.logits(algorithm.adapt(parameters(algorithm), one), one.query_x)
        expected = matching.logits(matching.adapt({}, one), one.query_x).exp()
        assert_close(found / found.sum(-1, keepdim=True), expected)

    @pytest.mark.parametrize("arguments", [{"start": "cosine"}, {"filters": 2}, {"length": 0}])
    def test_arguments_without_a_meaning_are_refused(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match=next(iter(arguments))):
            SNAIL(Identity(2), **arguments)


class TestFastWeights:
    def test_gradients_of_a_head_that_is_zero_by_hand(self) -> None:
        """(p - y) x with p = 1/2 for both classes; a class that does not exist has no gradient."""
        one = plane([[2, 0], [0, 4]], [0, 1], [[0, 0]], [0])
        found = head_gradients(one.support_x, one)
        assert_close(found, numbers([[-1.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [0.0, -2.0]]))
        alone = head_gradients(one.support_x, one._replace(class_mask=numbers(1, 0)))
        assert alone[0].abs().max() == 0

    def test_gradients_of_the_representation_by_hand(self) -> None:
        """Cosine of (1, 1) and (1, 0) under gains (g, h): g / sqrt(g^2 + h^2), whose slope at (1, 1) is (c, -c)."""
        one = plane([[1, 1], [1, 0]], [0, 1], [[0, 0]], [0])
        slope = 0.5**1.5
        expected = numbers([slope, -slope], [slope, -slope])
        assert_close(representation_gradients(numbers(1.0, 1.0), one.support_x, one, 0.0), expected)
        assert_close(representation_gradients(numbers(1.0, 1.0), one.support_x, one, 0.8), 0 * expected)
        same = one._replace(support_y=torch.tensor([0, 0]))
        assert_close(representation_gradients(numbers(1.0, 1.0), one.support_x, same, 0.0), -expected)

    def test_gradients_are_prepared_by_size_and_sign(self) -> None:
        found = prepared(numbers(exp(-3.5), -1.0, 0.0, -0.5 * exp(-7)))
        assert_close(found, numbers([-0.5, 1.0], [0.0, -1.0], [-1.0, 0.0], [-1.0, -0.5]))

    def test_training_starts_with_one_gradient_step_for_each_row(self) -> None:
        """Support (1, 0) and (0, 1), query (2, 0): attention e / (e + 1) on the row that it resembles."""
        one = plane([[1, 0], [0, 1]], [0, 1], [[2, 0]], [0])
        algorithm = MetaNet(Identity(2), rate=3.0)
        found = algorithm.logits(algorithm.adapt(parameters(algorithm), one), one.query_x)
        first = exp(1) / (exp(1) + 1)
        assert_close(found, numbers([3 * first, -3 * first]))

    def test_a_head_of_cosines_does_not_mind_how_long_weights_are(self) -> None:
        """The query (1, 1) is as near to both classes, although one has rows that half cancel out."""
        one = plane([[1, 0], [1, 0], [0, 1], [0, 0]], [0, 0, 1, 1], [[1, 1]], [0])
        algorithm = MetaNet(Identity(2), base="cosine", temperature=1e6)
        found = algorithm.logits(algorithm.adapt(parameters(algorithm), one), one.query_x)
        means = numbers([2.0, 0.0], [0.0, 1.0])
        direction = means - means.flip(0)
        assert_close(found[0], 10 * torch.nn.functional.cosine_similarity(direction, one.query_x))

    def test_the_task_changes_the_embedding(self) -> None:
        """Fast weights of the task are zero before training, and follow the support after it."""
        algorithm = MetaNet(Identity(INPUTS), generator_width=3)
        params, one = parameters(algorithm), task()
        assert_close(algorithm.adapt(params, one).gain, params["meta.gain"])
        params["meta.task.out.weight"] = torch.ones_like(params["meta.task.out.weight"])
        gains = [algorithm.adapt(params, each).gain for each in (one, task(seed=1))]
        assert (gains[0] - gains[1]).abs().max() > 1e-3

    @pytest.mark.parametrize("arguments", [{"rate": 0}, {"temperature": -1}, {"base": "ridge"}])
    def test_arguments_without_a_meaning_are_refused(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match=next(iter(arguments))):
            MetaNet(Identity(2), **arguments)


class TestAttentionalPrototypes:
    def test_by_hand(self) -> None:
        """Scores tanh(0) = 0 and tanh(log 3 / 2) = 1/2, times 2 log 3: the second row has three times the weight."""
        one = plane([[0, 0], [log(3) / 2, 4], [7, 7]], [0, 0, 1], [[0, 0]], [0])
        algorithm = TapNet(Identity(2), attention_width=1)
        params = {
            "meta.attention.weight": numbers([1.0, 0.0]),
            "meta.attention.bias": numbers(0.0),
            "meta.weights": numbers(2 * log(3)),
        }
        assert_close(algorithm.adapt(params, one).means, numbers([0.75 * log(3) / 2, 3.0], [7.0, 7.0]))

    def test_training_starts_at_the_class_means(self) -> None:
        algorithm, means = TapNet(Residual(INPUTS, 8)), ProtoNet(Identity(INPUTS))
        one = task()
        found = algorithm.logits(algorithm.adapt(parameters(algorithm), one), one.query_x)
        assert_close(found, means.logits(means.adapt({}, one), one.query_x))

    def test_one_shot_leaves_nothing_to_weigh(self) -> None:
        algorithm, one = TapNet(Identity(INPUTS)), task(shot=1)
        params = parameters(algorithm)
        params["meta.weights"] = torch.randn(64, generator=generator(), dtype=torch.float64)
        assert_close(algorithm.adapt(params, one).means, one.support_x)
