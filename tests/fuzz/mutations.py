"""Seeded mutations of frames, and what a parser must make of them.

`GRIDCORD_FUZZ_FRAMES` asks for more than the usual ten thousand.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator

FRAMES = int(os.environ.get("GRIDCORD_FUZZ_FRAMES", "10000"))
SEED = 20_271_115
Parse = Callable[[bytes], object]


def mutations(seeds: list[bytes], count: int = FRAMES) -> Iterator[bytes]:
    """Frames with bits flipped, bytes inserted, doubled, swapped and cut out; some are noise."""
    dice = random.Random(SEED)
    for _ in range(count):
        frame = bytearray(dice.choice(seeds))
        for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
            _mutate(dice, frame, seeds)
        yield bytes(frame)


def _mutate(dice: random.Random, frame: bytearray, seeds: list[bytes]) -> None:
    at = dice.randrange(len(frame) + 1)
    match dice.randrange(7):
        case 0 if at < len(frame):
            frame[at] ^= 1 << dice.randrange(8)
        case 1 if at < len(frame):
            frame[at] = dice.choice(b"\x00\xff\x7f\x80$!/()*:^\r\n 0123456789ABCDEFabcdef,.-")
        case 2:
            frame[at:at] = dice.randbytes(dice.randrange(1, 5))
        case 3:
            del frame[at : at + dice.randrange(1, 9)]
        case 4:
            frame[at:at] = frame[at : at + dice.randrange(1, 40)]
        case 5:
            other = dice.choice(seeds)
            frame[at:] = other[dice.randrange(len(other) + 1) :]
        case _:
            frame[:] = dice.randbytes(dice.randrange(60))


def survives(parse: Parse, seeds: list[bytes], *declared: type[Exception]) -> None:
    """Every mutation gives a value or a declared error, and some do harm."""
    errors = 0
    for frame in mutations(seeds):
        try:
            parse(frame)
        except declared:
            errors += 1
    assert errors > 0
