"""RAPI lines: checksum, sequence numbers, the state of the board."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.protocols import rapi
from gridcord.protocols.rapi import BoardState, EvseState, RapiError, RapiLine

words = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=8)
plain_words = words.filter(lambda word: not word.startswith(":"))


@pytest.mark.parametrize(
    ("command", "line"),
    [("GS", b"$GS^30\r"), ("GC", b"$GC^20\r"), ("GG", b"$GG^24\r"), ("GV", b"$GV^35\r")],
)
def test_commands_have_the_published_checksums(command: str, line: bytes) -> None:
    assert RapiLine((command,)).encode() == line
    assert rapi.decode(line) == RapiLine((command,))


@given(st.lists(plain_words, min_size=1, max_size=4), st.none() | st.integers(1, 255))
def test_line_survives_the_wire(parts: list[str], sequence: int | None) -> None:
    line = RapiLine(tuple(parts), sequence)
    assert rapi.decode(line.encode()) == line


@given(st.integers(0, 8 * 9 - 1))
def test_one_wrong_bit_is_noticed(bit: int) -> None:
    frame = bytearray(RapiLine(("OK", "32"), 7).encode()[:-1])
    frame[bit // 8 % len(frame)] ^= 1 << bit % 8
    try:
        line = rapi.decode(bytes(frame))
    except RapiError:
        return
    # the checksum's own digits may change case: the same line
    assert line == RapiLine(("OK", "32"), 7)


@pytest.mark.parametrize(
    "line",
    [b"", b"\r", b"GS^30", b"$GS", b"$^24", b"$GS^3", b"$GS^300", b"$OK :00^5A", b"$\xff^DB"],
)
def test_what_is_no_line_is_refused(line: bytes) -> None:
    with pytest.raises(RapiError):
        rapi.decode(line)


@given(st.sampled_from(EvseState), st.booleans(), st.booleans(), st.integers(0, 99_999))
def test_state_survives_the_wire(
    state: EvseState, closed: bool, connected: bool, elapsed_s: int
) -> None:
    board = BoardState(state=state, relay_closed=closed, connected=connected, elapsed_s=elapsed_s)
    assert rapi.decode_state(board.encode(EvseState.CONNECTED)) == board


@pytest.mark.parametrize(
    "fields", [(), ("03",), ("03", "0", "03"), ("zz", "0", "03", "0040"), ("0c", "0", "03", "0")]
)
def test_state_that_does_not_exist_is_refused(fields: tuple[str, ...]) -> None:
    with pytest.raises(RapiError):
        rapi.decode_state(fields)


def test_faults_are_faults() -> None:
    assert EvseState.STUCK_RELAY.is_fault
    assert not EvseState.SLEEPING.is_fault
    assert not EvseState.CHARGING.is_fault


@pytest.mark.parametrize("text", ["", "-1", "1.5", "0x3", "٣", "99999999999"])
def test_what_is_no_decimal_is_refused(text: str) -> None:
    with pytest.raises(RapiError):
        rapi.decimal(text)
