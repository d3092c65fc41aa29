"""Loopback addresses of one process's houses: what runs beside it never takes the same."""

from __future__ import annotations

import os

HOUSES = 64
_HOSTS = 4  # of each house: .0 is left out, so that no address ends in 0
_BLOCKS = 1 << 16  # of 256 addresses each: 127.0.0.0/8 without what systems themselves use


def house_hosts(number: int) -> tuple[str, str]:
    """Addresses of a house's energy manager and of the cable beside it.

    ECHONET Lite answers to UDP port 3610 whatever port asked (specification part 2, section 1.1),
    so each node needs an address of its own rather than a port.

    Args:
        number: Of the house in this process, from 0 to HOUSES - 1.

    Raises:
        ValueError: More houses than a process has addresses for.
    """
    if not 0 <= number < HOUSES:
        raise ValueError(f"house {number}: a process has addresses for {HOUSES} houses")
    second, third = divmod(os.getpid() % (_BLOCKS - 0x200), 256)
    first = _HOSTS * number
    prefix = f"127.{second + 1}.{third}"
    return f"{prefix}.{first + 1}", f"{prefix}.{first + 2}"
