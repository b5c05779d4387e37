"""Which readout is taken where none is named."""

from __future__ import annotations

from icl.models.base import LanguageModel, ShowsStates
from icl.readouts.base import Readout
from icl.readouts.hidden import Hidden
from icl.readouts.labels import Labels


def readout_for(model: LanguageModel) -> Readout:
    """By hidden states where a model shows them, unless it was measured to be read better by its labels."""
    by_states = isinstance(model, ShowsStates) and not model.capabilities.reads_labels
    return Hidden() if by_states else Labels()
