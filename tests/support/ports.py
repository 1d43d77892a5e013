"""Ports for the daemons of a test."""

from __future__ import annotations

import random
import socket
from pathlib import Path


def reserved_ports(number: int) -> dict[int, socket.socket]:
    """Return free TCP ports that no connection gets by itself, each with what keeps it from other tests: its UDP twin.

    A port of the ephemeral range may be taken by anybody's connection while a daemon is down.
    """
    lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    reserved: dict[int, socket.socket] = {}
    for port in random.sample(range(10000, lowest_ephemeral), lowest_ephemeral - 10000):
        twin = socket.socket(type=socket.SOCK_DGRAM)
        try:
            twin.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            twin.close()
            continue
        reserved[port] = twin
        if len(reserved) == number:
            break
    return reserved
