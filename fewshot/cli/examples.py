"""Help pages: an example for each command, and options as people know them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

#: Types of values as help pages name them.
_TYPES = {str: "TEXT", int: "N", float: "NUMBER", Path: "PATH"}
#: Path of a command, without `fewshot` -> arguments.
EXAMPLES: Mapping[str, str] = {
    "compare": "--task intents-ko --way 5 --shot 1,5 -l prototypes -l protonet",
    "recommend": "messages.csv --budget 5",
    "predict": "--from messages-predictor new.csv -o labels.csv",
    "serve": "messages-predictor --port 8000",
    "power": "--task intents-ko --delta 0.05 -l tfidf -l prototypes",
    "report": "runs/compare-intents-ko -o report.html",
    "plot": "runs/compare-intents-ko --kind curve -o curve.svg",
    "view": "--run-dir runs",
    "doctor": "",
    "serve-fake": "--port 8001",
    "icl run": "--task sentiment-ko --shot 1,2,4,8",
    "icl predict": "new.csv --support messages.csv -o labels.csv",
    "icl preview": "--task intents-en --way 5 --shot 1",
    "icl select": "--text 'wake me at six' --task intents-en --selector mmr -k 5",
    "icl crosslingual": "--task intents --from en --to ko",
    "icl metatrain": "-m smollm2 -t banking77 --split 01 --shot 1 --tune lora -o runs/metaicl",
    "classic run": "--task intents-ko --algorithm protonet --shot 5",
    "classic sinusoid": "--algorithm maml,reptile,pretrained --plot sine.svg",
    "classic train": "--task intents-ko --algorithm maml --out runs/maml",
    "classic predict": "new.csv --support messages.csv --algorithm prototypes -o labels.csv",
    "tasks ls": "",
    "tasks show": "intents-ko",
    "tasks check": "messages.csv",
    "tasks new": "complaints",
    "models ls": "",
    "models pull": "minilm e5-small",
    "models show": "smollm2",
    "learners ls": "--family selector",
    "learners show": "protonet",
    "runs ls": "",
    "runs show": "runs/icl-sentiment-ko",
    "runs export": "runs/icl-sentiment-ko -o predictions.csv",
    "registry create": "intents.sqlite --encoder auto",
    "registry add": "intents.sqlite refund 'my money back, please' 'I want a refund'",
    "registry update": "intents.sqlite refund 'please cancel the payment'",
    "registry query": "intents.sqlite 'when do I get my money?' -k 3",
    "registry tune": "intents.sqlite --from labelled.csv --set",
    "registry ls": "intents.sqlite",
    "registry remove": "intents.sqlite refund",
    "registry merge": "intents.sqlite refund cancellation",
    "registry history": "intents.sqlite refund",
    "cache info": "",
    "cache path": "",
    "cache verify": "",
    "cache clear": "--older-than 30d",
}


def add_examples(group: Any, path: str = "") -> None:
    """Put the example of each command below its help."""
    for name, command in group.commands.items():
        whole = f"{path} {name}".strip()
        if hasattr(command, "commands"):
            add_examples(command, whole)
        elif whole in EXAMPLES:
            command.epilog = f"Example: fewshot {whole} {EXAMPLES[whole]}".strip()


def options_of(command: Any) -> Iterator[Any]:
    """The options of a command and of all below it."""
    yield from (param for param in command.params if param.param_type_name == "option")
    for below in getattr(command, "commands", {}).values():
        yield from options_of(below)


def make_plain(option: Any) -> None:
    """Show no environment variable, and name the type of a value. What only tells something has no variable at all."""
    option.show_envvar = False
    option.allow_from_autoenv = not (option.is_eager or "completion" in option.name)
    if option.metavar is None and not option.is_flag:
        annotation = option.type_descriptor.annotation
        option.metavar = _TYPES.get(get_args(annotation)[0] if option.multiple else annotation)
