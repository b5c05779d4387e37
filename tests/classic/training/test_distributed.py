from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from classic.algorithms.protonet import Learner as ProtoNet
from fewshot.core.errors import UsageError
from fewshot.training import checkpoint
from fewshot.training.distributed import Workers, join
from tests.classic.toys import ToyEncoder, fitted


def test_one_process_alone_does_everything() -> None:
    workers, device = join("cpu")
    assert (workers, device) == (Workers(0, 1), "cpu")
    assert workers.share(8, 16) == (8, 16)
    tensors = {"a": torch.ones(2)}
    assert workers.average(tensors) is tensors


def test_shares_cover_the_meta_batch_without_overlap() -> None:
    shares = [Workers(rank, 4).share(16, 32) for rank in range(4)]
    assert [at for start, stop in shares for at in range(start, stop)] == list(range(16, 32))
    with pytest.raises(UsageError, match="cannot be shared by 3 processes"):
        Workers(0, 3).share(0, 16)


_WORKER = """
import sys
from tests.classic.training.test_distributed import trained
trained(sys.argv[1])
"""


def trained(folder: str) -> None:
    settings: Any = {"steps": 4, "eval_every": 2, "meta_batch": 4, "n_valid": 4, "patience": None}
    fitted(ProtoNet(encoder=ToyEncoder(), **settings), Path(folder)).save(Path(folder))


@pytest.mark.enable_socket
def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    """Each works on half of every meta-batch; only the first one writes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "WORLD_SIZE": "2", "MASTER_PORT": port}
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(tmp_path / "two")],
            env={**group, "MASTER_ADDR": "127.0.0.1", "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    trained(str(tmp_path / "one"))
    assert [process.wait() for process in pair] == [0, 0], [process.communicate()[1] for process in pair]
    one, _ = checkpoint.read(tmp_path / "one", "learner")
    two, _ = checkpoint.read(tmp_path / "two", "learner")
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)
