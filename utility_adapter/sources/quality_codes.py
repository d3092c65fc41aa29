"""What each format's codes of quality mean (None: there is no value)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from utility_adapter.domain.readings import DataQuality, worst

VALID, RAW = DataQuality.VALID, DataQuality.RAW
EDITED, ESTIMATED = DataQuality.EDITED, DataQuality.ESTIMATED
QUESTIONABLE = DataQuality.QUESTIONABLE

# NAESB ESPI 4.0, QualityOfReading. A forecast (12) and a value adjusted for weather (15) are no
# measurements of what happened.
ESPI: Mapping[int, DataQuality | None] = {
    0: VALID,
    7: EDITED,
    8: ESTIMATED,
    9: ESTIMATED,
    10: QUESTIONABLE,
    11: ESTIMATED,
    12: None,
    13: ESTIMATED,
    14: RAW,
    15: None,
    16: QUESTIONABLE,
    17: VALID,
    18: VALID,
    19: VALID,
}
ESPI_CODE: Mapping[DataQuality, int] = {
    VALID: 0,
    RAW: 14,
    EDITED: 7,
    ESTIMATED: 8,
    QUESTIONABLE: 10,
}

# AEMO Meter Data File Format, quality flag: actual, estimated, final substitute, null,
# substituted. "V" (see the 400 records) is no flag of a value.
NEM12: Mapping[str, DataQuality | None] = {
    "A": VALID,
    "E": ESTIMATED,
    "F": EDITED,
    "N": None,
    "S": ESTIMATED,
}
NEM12_FLAG: Mapping[DataQuality, str] = {
    VALID: "A",
    RAW: "A",
    EDITED: "F",
    ESTIMATED: "S",
    QUESTIONABLE: "S",
}

# Data Transfer Catalogue, actual/estimated indicator. Some senders mark every value of a day of
# 46 or 50 half hours "C", which says nothing of how it was got.
D0036: Mapping[str, DataQuality] = {"A": VALID, "C": RAW, "E": ESTIMATED}

# IEC 61968-9, quality code `system.category.index`.
_IEC_CATEGORY: Mapping[int, DataQuality | None] = {
    3: QUESTIONABLE,  # tampering
    5: QUESTIONABLE,  # failed a check of reasonability
    6: QUESTIONABLE,  # failed validation
    7: EDITED,
    8: ESTIMATED,
    10: QUESTIONABLE,
    11: ESTIMATED,
    12: None,  # projected
}
_IEC_EXACT: Mapping[tuple[int, int], DataQuality | None] = {
    (4, 2): QUESTIONABLE,  # partial interval
    (4, 4): None,  # skipped interval
    (5, 259): None,  # known missing
}


def espi_quality(codes: Iterable[int], default: DataQuality) -> DataQuality | None:
    """Quality of an ESPI value: the worst of its codes, the default without any.

    Args:
        codes: Codes of the value; an unknown code is as good as 16, "other".
        default: What the stream says of values without a code.
    """
    return _combined([ESPI.get(code, QUESTIONABLE) for code in codes], default)


def iec_quality(codes: Iterable[str]) -> DataQuality | None:
    """Quality of an IEC 61968-9 value: the worst of its codes, valid without any.

    Codes that say nothing of the value (diagnostics, power quality, data collection) are
    passed over; a text that is no code counts as questionable.
    """
    return _combined([_iec(code) for code in codes], VALID)


def _iec(code: str) -> DataQuality | None:
    fields = code.split(".")
    if len(fields) != 3 or not all(field.isascii() and field.isdigit() for field in fields):
        return QUESTIONABLE
    category, index = int(fields[1]), int(fields[2])
    if (category, index) in _IEC_EXACT:
        return _IEC_EXACT[category, index]
    return _IEC_CATEGORY.get(category, VALID)


def _combined(qualities: list[DataQuality | None], default: DataQuality) -> DataQuality | None:
    known = [quality for quality in qualities if quality is not None]
    if len(known) < len(qualities):
        return None
    return worst(known) if known else default
