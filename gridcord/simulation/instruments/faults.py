"""What can go wrong on a line, to be switched on by a test or a demonstration."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Faults:
    """Knobs of one line; all off at first. Counted knobs go back to 0 by themselves.

    Args:
        drop: So many next frames are lost.
        corrupt: So many next frames have one bit flipped in the middle.
        truncate: So many next frames lose their second half.
        noise: Bytes put before each frame.
        late: So many next frames come `late_s` later, behind frames that were sent meanwhile.
        late_s: How much later, real seconds.
        fragment: Send in pieces of so many bytes, `fragment_s` apart; 0 = whole.
        fragment_s: Real seconds between pieces.
    """

    drop: int = 0
    corrupt: int = 0
    truncate: int = 0
    noise: bytes = b""
    late: int = 0
    late_s: float = 0.5
    fragment: int = 0
    fragment_s: float = 0.002

    def take(self, knob: str) -> bool:
        """Use up one of a counted knob; False when there is none left."""
        left = getattr(self, knob)
        if left <= 0:
            return False
        setattr(self, knob, left - 1)
        return True


@dataclass(slots=True)
class FaultyLine:
    """Sends frames through the faults.

    Args:
        send: Puts bytes on the line now.
        faults: Shared with whoever turns the knobs.
    """

    send: Callable[[bytes], None]
    faults: Faults = field(default_factory=Faults)
    _pending: set[asyncio.TimerHandle] = field(default_factory=set)
    _free_s: float = 0.0

    def write(self, frame: bytes) -> None:
        """Send one frame, or what the faults leave of it."""
        faults = self.faults
        if faults.take("drop"):
            return
        if faults.take("corrupt"):
            frame = flip_bit(frame, 8 * (len(frame) // 2))
        if faults.take("truncate"):
            frame = frame[: len(frame) // 2]
        if faults.take("late"):
            self._later(faults.late_s, lambda: self._emit(faults.noise + frame))
        else:
            self._emit(faults.noise + frame)

    def close(self) -> None:
        """Forget what has not been sent yet."""
        for handle in self._pending:
            handle.cancel()
        self._pending.clear()

    def _emit(self, frame: bytes) -> None:
        """Send behind the pieces of earlier frames: bytes of two frames never mix on a wire."""
        now_s = asyncio.get_running_loop().time()
        for piece in _pieces(frame, self.faults.fragment):
            start_s = max(now_s, self._free_s)
            self._later(start_s - now_s, functools.partial(self.send, piece))
            self._free_s = start_s + self.faults.fragment_s * bool(self.faults.fragment)

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        if delay_s <= 0:
            action()
            return

        def act() -> None:
            self._pending.discard(handle)
            action()

        handle = asyncio.get_running_loop().call_later(delay_s, act)
        self._pending.add(handle)


def flip_bit(frame: bytes, bit: int) -> bytes:
    """The frame with one bit changed; an empty one stays empty."""
    if not frame:
        return frame
    index = bit // 8 % len(frame)
    return frame[:index] + bytes((frame[index] ^ 1 << bit % 8,)) + frame[index + 1 :]


def _pieces(frame: bytes, size: int) -> list[bytes]:
    if size <= 0:
        return [frame]
    return [frame[at : at + size] for at in range(0, len(frame), size)]
