"""The root command: global options, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import errno
import os
from typing import Annotated, Any

import typer
from typer._click.exceptions import ClickException
from typer.core import TyperGroup

from fewshot.cli import (
    cache,
    classic,
    compare,
    doctor,
    icl,
    learners,
    models,
    recommend,
    registry,
    report,
    runs,
    serve,
    tasks,
)
from fewshot.cli.examples import add_examples, make_plain, options_of
from fewshot.cli.output import complain
from fewshot.cli.outputs import guard
from fewshot.core.errors import FewshotError
from fewshot.core.network import keep_local_traffic_local
from fewshot.core.ownership import faults

_EXIT_INTERRUPTED = 130


class _Root(TyperGroup):
    """Shows our errors as one message with their exit code; `--debug` shows the traceback instead."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        add_examples(self)

    def get_params(self, ctx: Any) -> list[Any]:
        """Asked for before anything is parsed or shown: the options of all commands are complete by then."""
        for param in options_of(self):
            make_plain(param)
        return super().get_params(ctx)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except FewshotError as error:
            if ctx.params.get("debug"):
                raise
            complain(_foreign_package(error) or _explained(error))
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            complain(_explained(error, "interrupted"))
            raise typer.Exit(_EXIT_INTERRUPTED) from error
        except (typer.Exit, typer.Abort, ClickException):
            raise
        except Exception as error:
            if ctx.params.get("debug") or getattr(error, "errno", None) == errno.EPIPE:  # nobody reads on: just end
                raise
            complain(_unexpected(error))
            raise typer.Exit(1) from error


def _unexpected(error: Exception) -> str:
    """One line about an error that is none of ours."""
    if told := _foreign_package(error):
        return told
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT):
        return f"cannot write {error.filename or 'a file'}: {error.strerror}"
    first = next(iter(str(error).splitlines()), "")
    notes = "".join(f". {note}" for note in getattr(error, "__notes__", ()))
    return f"unexpected {type(error).__name__}: {first}{notes} (fewshot --debug ... shows where)"


def _foreign_package(error: BaseException | None) -> str | None:
    """What to do about a package of ours that is somebody else's, where an error may come from that; else None."""
    while error is not None and not isinstance(error, ImportError | AttributeError):
        error = error.__cause__
    return None if error is None else next(iter(faults().values()), None)


def _explained(error: BaseException, otherwise: str = "") -> str:
    """The message, and what those it passed through had to add (how to resume)."""
    sentences = [str(error) or otherwise, *getattr(error, "__notes__", ())]
    return " ".join(text if text[-1:] in ".?!" or text is sentences[-1] else f"{text}." for text in sentences)


app = typer.Typer(
    cls=_Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "FEWSHOT"},
    help="Few-shot text classification, by prompting and by training, measured on the same episodes.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"fewshot {version('fewshot')}")
        raise typer.Exit


@app.callback()
def root(
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Few-shot text classification, by prompting and by training, measured on the same episodes."""
    if offline:
        os.environ["FEWSHOT_OFFLINE"] = "1"
        os.environ["HF_HUB_OFFLINE"] = "1"
    keep_local_traffic_local(offline=offline)


app.add_typer(icl.app, name="icl")
app.add_typer(classic.app, name="classic")
app.add_typer(tasks.app, name="tasks")
app.add_typer(models.app, name="models")
app.add_typer(learners.app, name="learners")
app.add_typer(runs.app, name="runs")
app.add_typer(cache.app, name="cache")
app.add_typer(registry.app, name="registry")
app.command("compare")(compare.compare)
app.command("recommend")(recommend.recommend)
app.command("predict")(recommend.predict)
app.command("serve")(serve.serve)
app.command("power")(recommend.power)
app.command("report")(report.report)
app.command("plot")(report.plot)
app.command("view")(report.view)
app.command("doctor")(doctor.doctor)
app.command("serve-fake")(serve.serve_fake)
guard(app)
