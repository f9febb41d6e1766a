"""Which hosts notifications may go to: none that only this machine or its network can reach, unless the administrator
allows it (CHATOPS_ALLOW_PRIVATE_TARGETS). Otherwise a channel would be a way into what stands behind the firewall.

A name is judged by all its addresses, at the moment it is connected to, and the caller connects to what was judged.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from chatops_backend.alerts.transports.transport import ChannelRefusedError

Resolve = Callable[[str, int], Awaitable[list[str]]]

_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_NOT_PUBLIC = (
    # Public by its number, but answered by the cloud's own host: credentials and settings of the virtual machine.
    IPv4Network("168.63.129.16/32"),
    # Of protocols, and relays of IPv6; not every Python knows.
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
)
# The last part decides how resolvers read a host: `127.1`, `0x7f000001` and `2130706433` are addresses to them.
_NUMBER_AT_THE_END = re.compile(r"(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}")


def is_public(address: str) -> bool:
    """Whether everybody on the internet could reach it. False for what is no address."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        inner = _carried(ip)
        if inner is not None:
            return is_public(str(inner))
        if ip.scope_id is not None or ip not in _UNICAST:
            return False
    elif any(ip in network for network in _NOT_PUBLIC):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _carried(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to `ip` end up at."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    return IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None


async def resolve(host: str, port: int) -> list[str]:
    """Every address of a host. Raises `OSError` when it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Targets:
    def __init__(self, allow_private: bool, resolve: Resolve = resolve) -> None:
        self.allow_private = allow_private
        self._resolve = resolve

    async def addresses(self, host: str, port: int) -> list[str]:
        """What to connect to, in order. Raises `ChannelRefusedError` when that is nothing, or any is not allowed."""
        addresses = [host] if _is_address(host) else await self._look_up(host, port)
        if not self.allow_private and not all(is_public(address) for address in addresses):
            raise ChannelRefusedError(
                f"{host[:100]} is on this machine or in a private network; only an administrator of this server can "
                "allow that, with CHATOPS_ALLOW_PRIVATE_TARGETS=1"
            )
        return addresses

    async def _look_up(self, host: str, port: int) -> list[str]:
        if not _HOST.fullmatch(host) or _NUMBER_AT_THE_END.search(host):
            raise ChannelRefusedError("the host must be a name, or an address in its usual form such as 192.0.2.1")
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            raise ChannelRefusedError(f"the name {host[:100]} has no address; check its spelling")
        return addresses


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
