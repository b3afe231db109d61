"""What a call's state keeps of callbacks that were missing."""

from __future__ import annotations

import msgspec


class GapNotes(msgspec.Struct, array_like=True):
    """What is remembered of a call with a missing callback.

    - `unsent`: what is missing and was taken for not subscribed to; `late`: the gaps whose callbacks came;
      `healed`: those that a read has closed.
    - `endpoint`: where the call's callbacks come to, empty while none came; `shown`: the call has shown what
      its configuration sends.
    """

    unsent: list[int] = []
    late: list[int] = []
    endpoint: str = ""
    shown: bool = False
    healed: list[int] = []
