"""Which addresses lead to this machine: no proxy is asked about them, and `--offline` lets nothing else through."""

from __future__ import annotations

import ipaddress
import os
import socket
import urllib.request
from urllib.parse import urlsplit

from fewshot.core.embedded import is_offline
from fewshot.core.errors import OfflineError

#: In whatever case; `urllib`, `requests`, httpx and pip all read these, and NO_PROXY.
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})
_HERE = ("localhost", "127.0.0.1", "::1")


def is_local(url: str) -> bool:
    """Whether a URL leads to this machine: localhost, 127.0.0.0/8, ::1 and the unspecified address, however written.

    >>> [is_local(f"http://{host}:8000/v1") for host in ("LOCALHOST", "127.1", "[::ffff:127.0.0.1]", "127.evil.com")]
    [True, True, True, False]
    """
    host = (urlsplit(url).hostname or "").removesuffix(".")
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            # Systems also take 127.1, 0x7f.0.0.1 and 2130706433.
            address = ipaddress.ip_address(socket.inet_aton(host))
        except OSError:
            return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def proxy_of(url: str) -> tuple[str, str] | None:
    """(variable, host and port of the proxy) by which the environment has a URL asked; None where there is none."""
    parts = urlsplit(url)
    if is_local(url) or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    found = urllib.request.getproxies()
    scheme = parts.scheme if found.get(parts.scheme) else "all"
    if not (proxy := found.get(scheme)):
        return None
    place = urlsplit(proxy if "://" in proxy else f"http://{proxy}").netloc
    return f"{scheme.upper()}_PROXY", place.rpartition("@")[2]


def keep_local_traffic_local(*, offline: bool) -> None:
    """Keep every library of this process from asking a proxy about this machine; offline, about anything."""
    given = [name for name in os.environ if name.lower() in _PROXIES]
    if offline:
        for name in given:
            del os.environ[name]
    elif given:
        listed = [host for host in urllib.request.getproxies().get("no", "").split(",") if host.strip()]
        if "*" not in listed:
            os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(dict.fromkeys([*listed, *_HERE]))


def refuse_elsewhere(url: str, source: str) -> None:
    """Refuse what leads to another machine, where that is forbidden.

    Args:
        url: with its scheme.
        source: where it was given, for the message.

    Raises:
        OfflineError: `FEWSHOT_OFFLINE=1` is set, and the URL leads elsewhere.
    """
    if is_offline(False) and not is_local(url):
        raise OfflineError(f"--offline forbids to ask {urlsplit(url).hostname or url}, which {source} names")
