"""What a stored spec would do beyond computing is found in every spelling, and nothing else is asked about."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from typing import Any

import pytest

from fewshot.core.catalog import FAMILIES, LADDER
from fewshot.core.consent import REACHES, acts, remember, require_consent
from fewshot.core.errors import MissingExtra, NotTrusted, UsageError
from fewshot.core.registry import Entry
from fewshot.core.spec import Spec, parse_spec

EVIL = "run the Python file 'evil.py'"
HOSTED = "ask the hosted model openai:any, which can cost money"
COMMAND = "run the command 'rm -r .'"
URL = "http://elsewhere/v1"


@pytest.mark.promise(49)
@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("evil.py:Evil", [EVIL]),
        ("(evil.py:Evil:alpha=2)", [EVIL]),
        ({"name": "evil.py:Evil"}, [EVIL]),
        (parse_spec("evil.py:Evil"), [EVIL]),
        ("icl:selector=evil.py:Evil", [EVIL]),
        ("icl:selector=((evil.py:Evil))", [EVIL]),
        ({"name": "icl", "selector": {"name": "evil.py:Evil"}}, [EVIL]),
        ({"name": "icl", "calibrate": "evil.py:Evil:alpha=2"}, [EVIL]),
        ("probe:encoder=evil.py:Evil", [EVIL]),
        ("icl:selector=(mmr:encoder=evil.py:Evil)", [EVIL]),
        ("metaicl:calibrate= evil.py:Evil ", [EVIL]),
        (["tfidf", "evil.py:Evil"], [EVIL]),
        ({"algorithm": "protonet", "encoder": "evil.py:Evil"}, [EVIL]),
        ("openai:any", [HOSTED]),
        ({"name": "icl:model=openai:any"}, [HOSTED]),
        ({"name": "icl", "model": {"name": "openai", "model": "any"}}, [HOSTED]),
        ("icl:model=(anthropic:big)", ["ask the hosted model anthropic:big, which can cost money"]),
        ("icl:model=(openai:any,key_cmd=rm -r .)", [HOSTED, COMMAND]),
        ("icl:model=(openai:any,key-cmd=rm -r .)", [HOSTED, COMMAND]),
        ("icl:model=(openai:any,key_cmd =rm -r .)", [HOSTED, COMMAND]),
        ({"name": "icl", "model": {"name": "openai", "model": "any", "key_cmd": "rm -r ."}}, [HOSTED, COMMAND]),
        ({"name": "icl", "model": "openai:any,key_cmd=rm -r ."}, [HOSTED, COMMAND]),
        ({"name": "icl", "model": {"name": "openai", "Key-Cmd ": "rm -r .", "model": "any"}}, [HOSTED, COMMAND]),
        ({"model": "openai:any", "key_cmd": "rm -r ."}, [HOSTED, COMMAND]),
        ("icl:model=(openai:any,key_file=/etc/passwd)", [HOSTED, "read the key in '/etc/passwd'"]),
        ("icl:model=(openai:any,key-file=here)", [HOSTED, "read the key in 'here'"]),
        (f"icl:model=(openai:any,base_url={URL})", [HOSTED, f"send texts and a key to {URL!r}"]),
        ({"model": "openai:any", "base_url": URL}, [HOSTED, f"send texts and a key to {URL!r}"]),
        ("tracker:where=ftp://elsewhere", ["ask 'ftp://elsewhere'"]),
        ("icl:template=/etc/secret.j2", ["read '/etc/secret.j2'"]),
        ("icl:template=secret.j2", ["read 'secret.j2'"]),
        ("icl:model=./folder", ["read './folder'"]),
        ("icl:model=hf:~/folder", ["read '~/folder'"]),
        ("icl:model=model.gguf", ["read 'model.gguf'"]),
        ("probe:encoder=hf:../folder", ["read '../folder'"]),
        ({"name": "hf", "model": "/a/b(c=:d"}, ["read '/a/b(c=:d'"]),
        ("protonet:encoder=hub:a/b/c", ["read 'a/b/c'"]),
        ("protonet:from=trained", ["read the trained learner in 'trained'"]),
        ({"algorithm": "protonet", "source": "trained"}, ["read the trained learner in 'trained'"]),
        (Spec("protonet", {"from_": Path("trained")}), ["read the trained learner in 'trained'"]),
        ("protonet:trust=true", ["consent in your name (trust=True)"]),
    ],
    ids=str,
)
def test_every_spelling_is_found(stored: Any, expected: list[str]) -> None:
    assert acts(stored) == expected


@pytest.mark.parametrize(
    "stored",
    [
        *LADDER,
        *(name for name in FAMILIES["learner"].entries()),
        "probe:encoder=hf:org/name",
        "icl:model=(hf:org/name,revision=abc),normalize=mean",
        {"name": "mmr", "lambda": 0.7, "encoder": {"name": "minilm"}},
        {"model": "auto", "base_url": None, "way": 5, "class_split": "01", "template": None},
        "protonet:encoder=cnn,trust=false",
        "",
        None,
        3,
    ],
    ids=str,
)
def test_computing_is_not_asked_about(stored: Any) -> None:
    assert acts(stored) == []


def test_a_folder_of_that_name_is_read_rather_than_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "org" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert acts("probe:encoder=hf:org/name") == ["read 'org/name'"]
    assert acts("icl:model=hf:org") == ["read 'org'"]


def test_a_plugin_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    learners = FAMILIES["learner"]
    known = {**learners.entries(), "theirs": Entry("theirs", "theirs:Learner", "")}
    monkeypatch.setattr(learners, "entries", lambda: known)
    assert acts("theirs:alpha=2") == ["run the plugin 'theirs'"]


def test_depth_is_no_way_around() -> None:
    spec: Any = "evil.py:Evil"
    for _ in range(50):
        spec = {"name": "icl", "selector": spec}
    assert acts(spec) == [EVIL]
    for _ in range(5000):
        spec = {"name": "icl", "selector": spec}
    with pytest.raises(UsageError, match="too deeply"):
        acts(spec)


#: Parameters of built-in parts whose names speak of the world outside, and that decide nothing outside.
HARMLESS = {"api"}


def test_no_parameter_of_a_part_of_ours_is_overlooked() -> None:
    outside = ("cmd", "command", "file", "url", "host", "path", "folder", "endpoint", "proxy", "header", "api", "from")
    found: set[str] = set()
    for family in (family for name, family in FAMILIES.items() if name not in ("engine", "tracker")):
        for entry in family.entries().values():
            try:
                factory = entry.load()
            except (ImportError, MissingExtra):
                continue
            found |= set(inspect.signature(factory).parameters)
    speaking = {name.rstrip("_") for name in found if any(word in name for word in outside)}
    assert speaking - HARMLESS <= REACHES.keys()
    assert {"key_cmd", "key_file", "base_url", "from", "trust"} <= {name.rstrip("_") for name in found}


@pytest.mark.promise(49)
def test_refusals_name_each_thing_and_the_way_out() -> None:
    with pytest.raises(NotTrusted) as refused:
        require_consent("icl:model=(openai:any,key_cmd=rm -r .),selector=evil.py:Evil", "folder", trust=False)
    assert str(refused.value) == (
        f"folder is not trusted, and would: {HOSTED}; {COMMAND}; {EVIL}. Nothing of that was done. "
        "If you trust whoever made it: --trust (trust=True in Python)"
    )
    require_consent("evil.py:Evil", "folder", trust=True)


@pytest.mark.promise(50)
def test_what_was_begun_here_asks_nothing_and_what_was_changed_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    own, others = tmp_path / "own", tmp_path / "others"
    own.mkdir()
    begun = {"model": "openai:any", "base_url": URL}
    remember(begun, own)
    require_consent(begun, own, trust=False, place=own)
    require_consent({"base_url": URL}, own, trust=False, place=own)
    with pytest.raises(NotTrusted, match=r"evil\.py"):
        require_consent({**begun, "selector": "evil.py:Evil"}, own, trust=False, place=own)
    shutil.copytree(own, others)
    with pytest.raises(NotTrusted):
        require_consent(begun, others, trust=False, place=others)
    own.rename(tmp_path / "kept")
    others.rename(own)
    with pytest.raises(NotTrusted):
        require_consent(begun, own, trust=False, place=own)
