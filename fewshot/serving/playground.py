"""A page on which texts can be tried: labels, probabilities, and the labelled texts that are most alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evals.report.html import assets, template

if TYPE_CHECKING:
    from evals.predictor import Predictor

_PACKAGE = "fewshot.serving"


def playground(predictor: Predictor) -> tuple[str, str]:
    """The page, and the content security policy that allows its own script and style alone."""
    parts = assets("playground.js", _PACKAGE)
    page = template("playground.html.j2", _PACKAGE).render(
        task=predictor.task.name,
        learner=predictor.spec,
        korean=predictor.task.language == "ko",
        accuracy=predictor.expected.get("accuracy"),
        **parts,
    )
    return page, f"{parts['policy']}; connect-src 'self'; frame-ancestors 'none'"
