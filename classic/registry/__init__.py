"""A registry of prototypes: classes registered by name from a few items each, found again by similarity."""

from classic.registry.records import Class, Event, Found, Match
from classic.registry.registry import PrototypeRegistry
from classic.registry.threshold import Tuned

__all__ = ["Class", "Event", "Found", "Match", "PrototypeRegistry", "Tuned"]
