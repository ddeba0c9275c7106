"""What all websockets of one server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.local.keys import Keys
    from app.local.realtime.database import Told
    from app.local.realtime.hub import Hub
    from app.local.realtime.limits import Limits, Rate
    from app.local.realtime.policies import Policies
    from app.local.realtime.socket import Socket


@dataclass(frozen=True, slots=True)
class Shared:
    """The parts, and the counters of the whole server."""

    keys: Keys
    hub: Hub
    policies: Policies
    told: Told
    limits: Limits
    joins: Rate
    messages: Rate
    sockets: set[Socket] = field(default_factory=set)
