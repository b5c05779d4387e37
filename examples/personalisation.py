"""Personalisation as meta-learning: a user is a task, and twelve of their own ratings are its support.

Users rate the texts of `intents-en` as of interest or not. The 30 intents fall into six themes that nobody names, and
each user cares about three of them. "global" is one classifier for all users, trained on everything that training users
rated: it knows what people like on average. "global, fine-tuned" takes a few gradient steps from there on a user's own
ratings. MAML and prototypical networks are trained for just that: to do well on a user after a few ratings. All are
tested on users, and on texts, that were not trained on.

    python examples/personalisation.py
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from classic import MAML, Network, ProtoNet, TensorTask, meta_gradient, predict
from evals.stats import t_interval
from fewshot import load_task
from fewshot.encoders import build_encoder

THEMES, LIKED, RATED, ASKED, COLUMNS = 6, 3, 12, 24, 64


@dataclass(frozen=True)
class Texts:
    """(n, 64) vectors of texts, and the theme of each."""

    vectors: Tensor
    themes: Tensor

    def users(self, n: int, seed: int) -> TensorTask:
        """A batch of n users: twelve ratings each, half of either kind, and 24 to be foretold."""
        random = np.random.default_rng(seed)
        rows, ratings = np.empty((n, RATED + ASKED), int), np.tile(np.arange(2), (n, (RATED + ASKED) // 2))
        for user in range(n):
            liked = np.isin(self.themes, random.choice(THEMES, LIKED, replace=False))
            for rating in (0, 1):
                some = random.permutation(np.flatnonzero(liked == rating))
                rows[user, rating::2] = some[: (RATED + ASKED) // 2]
        x, y = self.vectors[torch.from_numpy(rows)], torch.from_numpy(ratings)
        return TensorTask.of(x[:, :RATED], y[:, :RATED], x[:, RATED:], y[:, RATED:])


def texts(encoder: str) -> tuple[Texts, Texts]:
    """Texts for training and for testing, half of each intent."""
    rows = load_task("intents-en").rows["all"]
    intents = sorted({str(row.label) for row in rows})
    theme = {intent: at for at, some in enumerate(np.array_split(intents, THEMES)) for intent in some}
    themes = torch.tensor([theme[str(row.label)] for row in rows])
    vectors = build_encoder(encoder).encode([row.text for row in rows])
    dense = vectors if isinstance(vectors, np.ndarray) else vectors[:, np.unique(vectors.indices)].toarray()
    train = torch.arange(len(rows)) % 2 == 0
    # The directions in which training texts differ most (latent semantic analysis), of about unit variance.
    directions = np.linalg.svd(dense[train.numpy()], full_matrices=False)[2][:COLUMNS]
    kept = torch.from_numpy(dense @ directions.T).float()
    kept /= kept[train].std()
    return Texts(kept[train], themes[train]), Texts(kept[~train], themes[~train])


def main(encoder: str = "minilm", steps: int = 200, n_test: int = 300) -> dict[str, np.ndarray]:
    """Print a table. Returns the accuracy of every method on every test user."""
    torch.manual_seed(0)
    train, test = texts(encoder)
    network = Network.of(nn.Sequential(nn.Linear(COLUMNS, 64), nn.ReLU(), nn.Linear(64, 2)))
    embedding = Network.of(nn.Sequential(nn.Linear(COLUMNS, 64), nn.ReLU(), nn.Linear(64, 32)))
    # Without inner steps, MAML is training on the ratings of all users at once.
    methods = {
        "global": MAML(network, inner_steps=0),
        "global, fine-tuned": MAML(network, inner_steps=0, test_steps=5, inner_lr=0.1),
        "MAML": MAML(network, inner_steps=5, inner_lr=0.1),
        "prototypical network": ProtoNet(embedding),
    }
    asked, found = test.users(n_test, seed=2**31), {}
    print("new users, accuracy with 95 % interval over users")
    for name, method in methods.items():
        params = method.init(torch.Generator().manual_seed(0))
        optimizer = torch.optim.Adam(list(params.values()), lr=0.01)
        for step in range(steps):
            gradient, _ = meta_gradient(method, params, train.users(16, seed=step))
            for key, value in params.items():
                value.grad = gradient[key]
            optimizer.step()
        right = predict(method, params, asked).argmax(-1) == asked.query_y
        found[name] = right.float().mean(dim=1).numpy()
        interval = t_interval(found[name].tolist())
        print(f"{name:22} {interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})")
    return found


if __name__ == "__main__":
    main()
