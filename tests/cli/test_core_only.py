"""Every verb with every learner where no extra is installed: done, or told what to install. Never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fewshot.core.embedded import EMBEDDED, LIGHT
from fewshot.core.model_cache import RECORD, model_home
from tests.encoders.tiny_use import write_tiny_use

_HIDING = """
import sys
from glob import glob
from fewshot.core.extras import EXTRAS
HIDDEN = {name for names in EXTRAS.values() for name in names} | {"safetensors", "tokenizers", "filelock"}
class Hiding:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hiding())
from typer.testing import CliRunner
from fewshot.cli.app import app
from fewshot.cli.output import messages, results
from fewshot.core.catalog import LEARNERS

data = ["-t", "own.csv", "--way", "2", "--shot", "1", "--query", "1", "-n", "2"]
BY_DEFAULT = []
"""
_CALLS = """
LIGHT = ["chance", "majority", "nn", "tfidf", "probe:encoder=lexical", "prototypes:encoder=lexical"]
HEAVY = [name for name in LEARNERS.entries() if name not in LIGHT]
calls = [(code, ["classic", "run", "-a", each, *data]) for code, some in ((0, LIGHT), (2, HEAVY)) for each in some
         if code == 0 or each not in ("icl", "metaicl", "crosslingual")]
calls += [(2, ["compare", "-l", each, *data]) for each in HEAVY]
calls += [(0, ["compare", *[arg for each in LIGHT for arg in ("-l", each)], *data])]
BY_DEFAULT = [["compare", *data, "--run-dir", "compared"], ["report", "compared/*"], ["recommend", "own.csv", "-o", "kept"]]
calls += [(0, each) for each in BY_DEFAULT]
calls += [(2, [*verb, *data]) for verb in (["classic", "run"], ["icl", "run"])]
calls += [(2, ["classic", "sinusoid"]), (2, ["classic", "train", "-o", "trained"]), (2, ["icl", "metatrain", "-o", "trained"])]
calls += [(2, [side, "predict", "new.txt", "--support", "own.csv"]) for side in ("classic", "icl")]
calls += [(0, ["power", *data[:-2], "--pilot", "3"])]
calls += [(2, ["recommend", "own.csv", "-l", each]) for each in HEAVY]
calls += [(0, ["predict", "--from", "kept", "new.txt"])]
calls += [(0, ["classic", "predict", "new.txt", "--support", "own.csv", "-a", each]) for each in LIGHT[2:]]
calls += [(2, ["classic", "predict", "new.txt", "--support", "own.csv", "-a", each]) for each in ("probe", "lora")]
calls += [(2, ["icl", "run", "-m", each, *data]) for each in ("auto", "ko-mini", "smollm2", "gemma3", "hf:a/b", "openai:a", "anthropic:a")]
calls += [(2, ["icl", "crosslingual", "-n", "2"]), (2, ["icl", "select", "-t", "own.csv", "--text", "good day"])]
calls += [(0, ["icl", "select", "-t", "own.csv", "--text", "good day", "--encoder", "lexical"])]
"""  # noqa: E501
#: With the encoder that needs no extra.
_LIGHT_CALLS = """
calls = [(0, ["classic", "run", "-a", each, *data]) for each in ("prototypes", "probe", "prototypes:encoder=use-m3")]
calls += [(0, ["compare", "-l", "prototypes", "-l", "probe", *data])]
calls += [(0, ["recommend", "own.csv", "-o", "kept"]), (0, ["predict", "--from", "kept", "new.txt"])]
calls += [(0, ["classic", "predict", "new.txt", "--support", "own.csv", "-a", "prototypes"])]
calls += [(0, ["icl", "crosslingual", "-n", "2"]), (0, ["icl", "select", "-t", "own.csv", "--text", "good day"])]
calls += [(2, ["classic", "run", "-a", each, *data]) for each in ("protonet", "prototypes:encoder=e5-small")]
"""
_RUN = """
for expected, args in calls:
    results.cache_clear(); messages.cache_clear()
    done = CliRunner().invoke(app, [name for arg in args for name in (glob(arg) if "*" in arg else [arg])])
    fine = done.exit_code == expected and (expected == 0 or ('pip install "fewshot[' in done.stderr and not done.stdout))
    fine &= args not in BY_DEFAULT or 'packages are missing. Run: pip install "fewshot[' in done.output
    if not fine or "Traceback" in done.output:
        sys.stdout.write(f"{' '.join(args)}: {done.exit_code}, {done.exception!r}\\n{done.output[-300:]}\\n")
"""  # noqa: E501


@pytest.mark.promise(73)
@pytest.mark.promise(102)
@pytest.mark.parametrize("calls", [_CALLS, _LIGHT_CALLS], ids=["nothing else", "the light encoder"])
def test_every_verb_and_learner_without_extras(calls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_OFFLINE", "1")
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    if calls == _LIGHT_CALLS:
        home = model_home(LIGHT, EMBEDDED[LIGHT].sha256)  # type: ignore[union-attr] - it is none of the shipped
        write_tiny_use(home)
        (home / RECORD).write_text("{}")
    rows = [
        f"good {n} {word},a\nbad {n} {word},b\n"
        for n, word in enumerate(["day", "film", "book", "song", "meal", "walk"])
    ]
    (tmp_path / "own.csv").write_text("text,label\n" + "".join(rows))
    (tmp_path / "new.txt").write_text("good day\n")
    program = f"{_HIDING}{calls}{_RUN}"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
