"""A local server that speaks the wire formats of OpenAI and Anthropic, for tests and for trying things out offline.

Its answers come from a deterministic reader of demonstrations, unless a script says otherwise. It listens on 127.0.0.1
only, needs no key and costs nothing.
"""

from icl.fake.http import Request
from icl.fake.script import Step, read_script
from icl.fake.server import FakeServer

__all__ = ["FakeServer", "Request", "Step", "read_script"]
