"""The grid operators' public table of imbalance prices, as they would publish it.

Written to the letter as it is read: `gridcord.protocols.imbalance_csv`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from gridcord.protocols.jepx_csv import AREA_NAMES
from gridcord.units import Calendar, Period

_ZONE = "Asia/Tokyo"


def imbalance_table(
    prices: Mapping[Period, int], *, areas: Sequence[str], published_s: float
) -> str:
    """The table of a month.

    Args:
        prices: JPY/MWh, a multiple of 10, of half hours of one month; the same in all areas.
        areas: Ids of areas.
        published_s: When it is published, seconds since 1970 UTC.
    """
    calendar, text = Calendar(_ZONE), io.StringIO()
    lines = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    published = _local(published_s)
    month = _local(min(period.start_s for period in prices)).strftime("%Y%m")
    pad = [""] * (2 * len(areas) - 1)
    names = [word for area in areas for word in (AREA_NAMES[area], "変更S")]
    lines.writerow(["H", "インバランス料金単価(円/kWh)"])
    lines.writerow(["H", "ファイル更新日", "ファイル更新時刻", "対象年月"])
    told = [f"{published:%Y%m%d}", f"{published:%H:%M:%S}", month, ""]
    titles = ["余剰インバランス料金単価", *pad, "不足インバランス料金単価", *pad]
    lines.writerow(["H", *told, *titles])
    lines.writerow(["T", "日付", "時間帯コマ", "時間帯_自", "時間帯_至", *names, *names])
    for period, price in sorted(prices.items(), key=lambda item: item[0].start_s):
        day, number = calendar.label(period)
        begin, end = (f"{n // 2:02d}:{n % 2 * 30:02d}" for n in (number - 1, number))
        values = [f"{Decimal(price).scaleb(-3):.2f}", "0"] * (2 * len(areas))
        lines.writerow(["D", f"{day:%Y%m%d}", number, begin, end, *values])
    return text.getvalue()


def _local(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(_ZONE))
