"""A market and its cars, made here in the published forms: what holds must hold on any of them."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random

MONDAY = date(2030, 1, 7)
PERIODS = 48
HEADER = (
    "受渡日",
    "時刻コード",
    "約定総量(kWh)",
    "システムプライス(円/kWh)",
    "エリアプライス東京(円/kWh)",
)


def spot_prices(*, days: int, seed: int) -> list[int]:
    """Hundredths of JPY per kWh: cheap at noon, dear in the evening, weather that lasts days."""
    random = Random(seed)
    weather, prices = 0.0, []
    for _ in range(days):
        weather = 0.7 * weather + random.gauss(0, 2)
        for number in range(PERIODS):
            hour = number / 2
            sun = -6 * max(0.0, math.cos((hour - 12) * math.pi / 9))
            evening = 7 * math.exp(-(((hour - 18.5) / 2) ** 2))
            price = 12 + weather + sun + evening + random.gauss(0, 1)
            prices.append(max(1, round(price * 100)))
    return prices


def spot_file(
    path: Path,
    *,
    days: int,
    seed: int = 1,
    encoding: str = "cp932",
    start: date = MONDAY,
    header: Sequence[str] = HEADER,
) -> Path:
    """A table in the form of the exchange; columns of its header beyond the prices are empty."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(header)
    for index, price in enumerate(spot_prices(days=days, seed=seed)):
        day, number = divmod(index, PERIODS)
        cell = f"{price // 100}.{price % 100:02}"
        when = (start + timedelta(days=day)).strftime("%Y/%m/%d")
        table.writerow((when, number + 1, 50_000, cell, cell, *[""] * (len(header) - 5)))
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def evenings(*, homes: int, weeks: int, seed: int) -> list[tuple[str, datetime, datetime, float]]:
    """Home in the evening, away in the morning, more or less: who, from, to, kWh."""
    random = Random(seed)
    found = []
    for home in range(homes):
        habit = random.uniform(16, 21)
        for day in range(weeks * 7):
            if random.random() < 0.25:
                continue
            midnight = datetime.combine(
                MONDAY - timedelta(weeks=weeks) + timedelta(days=day), time()
            )
            start = midnight + timedelta(hours=habit + random.gauss(0, 0.7))
            end = midnight + timedelta(days=1, hours=random.uniform(6, 9))
            minute = timedelta(minutes=1)
            start, end = (
                each - timedelta(seconds=each.second, microseconds=each.microsecond)
                for each in (start, end + minute)
            )
            found.append((f"home-{home}", start, end, round(random.uniform(2, 30), 2)))
    return found


def residential_file(path: Path, *, homes: int = 6, weeks: int = 6, seed: int = 2) -> Path:
    """Sessions in the residential form; one was never unplugged."""
    lines = ["session_ID;Garage_ID;User_ID;Start_plugin;End_plugout;El_kWh"]
    form = "%d.%m.%Y %H:%M"
    for number, (who, start, end, kwh) in enumerate(evenings(homes=homes, weeks=weeks, seed=seed)):
        energy = f"{kwh}".replace(".", ",")
        lines.append(f"{number};A;{who};{start.strftime(form)};{end.strftime(form)};{energy}")
    lines.append("9999;A;home-0;01.01.2029 18:00;NA;3,5")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return path


def workplace_file(path: Path, *, stations: int = 6, weeks: int = 6, seed: int = 3) -> Path:
    """Sessions in the workplace form, packed."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("arrival", "departure", "delivered_energy (kWh)", "station_id"))
    for who, start, end, kwh in evenings(homes=stations, weeks=weeks, seed=seed):
        table.writerow((f"{start.isoformat()}-08:00", f"{end.isoformat()}-08:00", kwh, who))
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    return path
