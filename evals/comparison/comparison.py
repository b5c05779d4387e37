"""A comparison: what was found when learners met the same episodes. Conduct one with `compare`, or read stored runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from evals.comparison.analysis import Analysis, analyse
from evals.comparison.conduct import NAME, Conducted, Step, conduct, make_plan, read_conducted
from evals.comparison.contestants import contestants
from evals.comparison.crossing import Lead, leads
from evals.comparison.document import Absent, to_document
from evals.comparison.reading import read_tables
from evals.comparison.sentences import lead_sentence, verdict_sentence
from evals.comparison.study import make_study
from evals.learner import Context, Learner, ignore
from evals.rundir import new_run_dir
from evals.store import FILE_NAME
from evals.task import Task
from fewshot.core.errors import MissingExtra, UsageError


@dataclass(frozen=True)
class Comparison:
    """Learners on common episodes, with what can be said of them.

    Attributes:
        folder: where it is kept, or None for runs that were read from several places.
        analyses: one per task, way and shot.
        leads: one per task that was compared at several shots.
        absent: learners without a result somewhere, and why.
        study: what was asked for, JSON-ready; empty where single runs were read.
        unfinished: what is missing of the study, in words; empty where nothing is.
    """

    folder: Path | None
    analyses: tuple[Analysis, ...]
    leads: tuple[Lead, ...]
    absent: tuple[Absent, ...] = ()
    study: Mapping[str, Any] = field(default_factory=dict)
    unfinished: str = ""

    @classmethod
    def read(cls, folders: Sequence[Path | str], *, seed: int = 0) -> Comparison:
        """Put stored runs side by side.

        Args:
            folders: of comparisons or of single runs; shards of one study are merged.
            seed: of resamples and permutations.

        Raises:
            UsageError: no runs there, or runs that share no episode.
            StorageError: a run is damaged.
        """
        paths = [Path(folder) for folder in folders]
        conducted = [read_conducted(path) for path in paths if (path / NAME).is_file()]
        tables = read_tables([run for path in paths for run in runs_in(path)])
        analyses = tuple(analyse(table, seed=seed) for table in tables)
        return cls(
            folder=paths[0] if len(paths) == 1 else None,
            analyses=analyses,
            leads=tuple(leads(analyses, seed=seed)),
            absent=tuple(dict.fromkeys(missing for found in conducted for missing in found.absent)),
            study={**conducted[0].study.model_dump(mode="json"), "sha256": conducted[0].study.sha256}
            if conducted
            else {},
            unfinished=_unfinished(paths, conducted),
        )

    @cached_property
    def document(self) -> dict[str, Any]:
        """Everything that was found, JSON-ready."""
        return to_document(self.analyses, self.leads, self.absent, self.study, self.unfinished)

    @property
    def winner(self) -> str | None:
        """The best learner of the last table (the most shots), or None."""
        return self.analyses[-1].verdict.winner

    def sentences(self, language: str = "en") -> list[str]:
        """What was found, in words: who wins each table, then where the lead changes.

        Args:
            language: "en" or "ko".
        """
        verdicts = [verdict_sentence(analysis, language) for analysis in self.analyses]
        return [*verdicts, *(lead_sentence(lead, language) for lead in self.leads)]

    def plot(self, kind: str = "forest", *, shot: int | None = None, task: str | None = None) -> Any:
        """A chart that notebooks show and `save` writes; see `evals.report.plot.draw`.

        Args:
            kind: "forest", "curve", "pareto", "reliability" or "confusion".
            shot: which table; None takes the most shots. task: which task; None takes the only one.
        """
        from evals.report.plot import draw

        return draw(self, cast(Any, kind), shot=shot, task=task)

    def _repr_html_(self) -> str:
        from fewshot.core.notebook import html_table

        columns = ["task", "way", "shot", "learner", "accuracy", "low", "high", "seconds"]
        rows = [[row[name] for name in columns] for row in self.rows()]
        return html_table("Comparison", columns, rows, self.sentences())

    def to_pandas(self) -> Any:
        """The standings as a pandas DataFrame. Raises MissingExtra without pandas."""
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra("to_pandas", "frames") from error
        return pandas.DataFrame(self.rows())

    def to_polars(self) -> Any:
        """The standings as a polars DataFrame. Raises MissingExtra without polars."""
        try:
            import polars
        except ImportError as error:
            raise MissingExtra("to_polars", "frames") from error
        return polars.DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """One flat row per learner and table."""
        return [
            {
                "task": analysis.table.task,
                "way": analysis.table.way,
                "shot": analysis.table.shot,
                "learner": standing.learner,
                "baseline": standing.baseline,
                "transductive": standing.transductive,
                "accuracy": standing.accuracy.mean,
                "low": standing.accuracy.low,
                "high": standing.accuracy.high,
                "low_new_texts": standing.new_texts.low,
                "high_new_texts": standing.new_texts.high,
                "pooled_f1": standing.pooled and standing.pooled.mean,
                "low_pooled_f1": standing.pooled and standing.pooled.low,
                "high_pooled_f1": standing.pooled and standing.pooled.high,
                "letters": standing.letters,
                "non_ok_rate": standing.non_ok_rate,
                "episodes": standing.n_episodes,
                "queries": standing.n_queries,
                "seconds": standing.seconds,
                "usd": standing.usd,
            }
            for analysis in self.analyses
            for standing in analysis.standings
        ]


def _unfinished(paths: Sequence[Path], conducted: Sequence[Conducted]) -> str:
    """How many runs of the studies in these folders have not begun, and which."""
    begun = {file.parent.name for path in paths for file in path.glob(f"*/{FILE_NAME}")}
    planned = dict.fromkeys(folder for found in conducted for folder in found.folders)
    missing = [folder for folder in planned if folder not in begun]
    if not missing:
        return ""
    named = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
    return f"NOT FINISHED: {len(missing)} of {len(planned)} runs are missing ({named}); what follows is preliminary"


def runs_in(folder: Path) -> list[Path]:
    """The run folders that a folder stands for: itself, or those in it.

    Raises:
        UsageError: there are none.
    """
    if (folder / FILE_NAME).is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob(f"*/{FILE_NAME}"))
    if not found:
        raise UsageError(f"{folder} holds no run: there is no {FILE_NAME} in it or one level below")
    return found


def compare(
    task: str | Task | Sequence[str | Task | Any] | Any,
    learner: str | Sequence[str] | Mapping[str, str | Learner] = (),
    *,
    way: int | None = None,
    shot: int | Sequence[int] = 5,
    query: int = 5,
    episodes: int = 100,
    seed: int | Sequence[int] = 0,
    class_split: str | Sequence[str] | None = None,
    part: str = "test",
    query_balance: str = "equal",
    until_ci: float | None = None,
    folder: Path | str | None = None,
    run_dir: Path | str = "runs",
    ctx: Context | None = None,
    on_step: Callable[[Step], None] = ignore,
) -> Comparison:
    """Let learners meet the same episodes; the baselines are always among them.

        comparison = compare("intents-en", ["icl", "protonet:encoder=minilm"], way=5, shot=[1, 5])

    Args:
        task: names, loaded tasks, or tables as `load_task` takes them; one or a list.
        learner: specs; or a mapping from names to specs or learners of one's own.
        way, shot, query, episodes, seed, class_split, part, query_balance, until_ci: as in `Study`.
        folder: of the comparison; one that holds the same study is continued. None makes a new one in `run_dir`.
        ctx: device, messages, limits.
        on_step: called after each learner on each series of episodes.

    Raises:
        UsageError: a request that cannot be carried out as written.
        ResumeMismatch: `folder` holds another study.
        BudgetReached, KeyboardInterrupt: ended early; call again with the same folder to go on.
    """
    from evals.loading import load_task

    given = list(task) if isinstance(task, (list, tuple)) else [task]
    loaded = [item if isinstance(item, Task) else load_task(item) for item in given]
    tasks = {item if isinstance(item, str) else one.name: one for item, one in zip(given, loaded, strict=True)}
    if len(tasks) < len(given):
        raise UsageError("several tasks have the same name; load tables with names: load_task(table, name=...)")
    learners = [learner] if isinstance(learner, str) else learner
    if not isinstance(learners, Mapping) and any(not isinstance(item, str) for item in learners):
        raise UsageError("learners of your own need names: learner={'mine': learner}")
    study = make_study(
        task=list(tasks),
        learner=list(learners),
        way=way,
        shot=shot,
        query=query,
        episodes=episodes,
        seed=seed,
        class_split=class_split,
        part=part,
        query_balance=query_balance,
        until_ci=until_ci,
    )
    named = learners if isinstance(learners, Mapping) else study.learner
    place = Path(folder) if folder is not None else new_run_dir(Path(run_dir), "-".join(tasks), "compare")
    plan = make_plan(study, contestants(named), tasks)
    conduct(plan, place, ctx or Context(), load=load_task, on_step=on_step)
    return Comparison.read([place])
