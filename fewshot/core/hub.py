"""Whether the Hugging Face hub can be reached: its own client asks five times over, for most of a minute."""

from __future__ import annotations

import sys

from fewshot.core.errors import ModelUnavailable

#: Seconds in which the hub has to answer.
_PATIENCE = 10.0


def require_hub(wanted: str, mend: str) -> None:
    """Ask the hub once, through the client's own session (proxies, mirrors), whether anybody answers.

    Args:
        wanted: what is to be downloaded, for the message.
        mend: what to do instead.

    Raises:
        ModelUnavailable: nobody answers.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    session = get_session()
    # The client's library has had two names (httpx, httpx2); its errors live where its session does.
    library = sys.modules[type(session).__module__.partition(".")[0]]
    transport_error: type[Exception] = library.TransportError
    try:
        session.head(constants.ENDPOINT, timeout=_PATIENCE)
    except transport_error as error:
        raise ModelUnavailable(
            f"{wanted} is not on this machine, and {constants.ENDPOINT} cannot be reached ({error}). {mend}"
        ) from error
