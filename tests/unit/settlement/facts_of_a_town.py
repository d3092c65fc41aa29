"""Random facts of a small town: honest ones, late ones, corrected ones, doubled ones."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

from gridcord.metering.matching import HemsCoverage
from gridcord.metering.reading import ClockState, ReadingSource, SiteReading, Verdict
from gridcord.settlement.consent import Consent
from gridcord.settlement.facts import Fact, SiteVerdict
from gridcord.settlement.imbalance import Contract, MarketResult
from gridcord.settlement.imbalance_share import AreaFigures, ImbalanceShare
from gridcord.settlement.ledger import KnownFact
from gridcord.settlement.schedule import Band, Prices, Schedule, Window
from gridcord.settlement.tariff import SiteTariff, Tariff, TariffBook
from gridcord.settlement.terms import SettlementRule, SiteTerms, Terms
from gridcord.settlement.transfer import Transfer
from gridcord.units import Money, Period, Price, SiteId
from tests.unit.settlement.cases import PERIOD, record, transfer

SITES = tuple(SiteId(f"obis:{number:04d}") for number in range(4))
MONTH = "2026-11"


def prices(taken: str, given: str) -> Prices:
    return Prices(taken=Price.per_kwh("JPY", taken), given=Price.per_kwh("JPY", given))


def terms(rule: SettlementRule | None = None) -> Terms:
    """Two areas, an evening band, a corrected tariff, three hosts, one consent."""
    evening = Band(window=Window(from_min=17 * 60, to_min=21 * 60), prices=prices("34.5", "41.27"))
    schedule = Schedule(zone="Asia/Tokyo", base=prices("23.11", "18.003"), bands=(evening,))
    first = Tariff(
        tariff_id="guest",
        version=1,
        schedule=schedule,
        availability=Money.of("JPY", "7.77"),
    )
    home = SiteTariff(
        tariff_id="home",
        version=1,
        schedule=Schedule(zone="Asia/Tokyo", base=prices("31.7", "8.5")),
    )
    consent = Consent(
        consent_id="consent-1",
        site_id=SITES[0],
        host_id="host-0",
        fee=prices("0.5", "1.25"),
        connected_fee=Money.of("JPY", "0.9"),
        max_power_w=1500,
    )
    kansai = dataclasses.replace(first, tariff_id="kansai", area="kansai")
    return Terms(
        tariffs=TariffBook([first, dataclasses.replace(first, version=2), kansai]),
        site_tariffs=TariffBook([home]),
        consents=(consent,),
        sites={
            SITES[0]: SiteTerms(site_id=SITES[0], area="tokyo", host_id="host-0"),
            SITES[1]: SiteTerms(site_id=SITES[1], area="kansai", host_id="host-1", rating_w=3000),
            SITES[2]: SiteTerms(
                site_id=SITES[2], area="tokyo", host_id="host-2", hems=HemsCoverage.FULL
            ),
        },
        rule=rule or SettlementRule(imbalance_percent=40),
    )


def facts(seed: int, count: int, *, periods: int = 3) -> Iterator[Fact]:
    """Facts in the order in which a town makes them, some of them said twice."""
    source = random.Random(seed)
    before: Fact | None = None
    for number in range(1, count + 1):
        if before is not None and source.random() < 0.05:
            yield before
        before = _fact(source, number, PERIOD.next(source.randrange(periods)))
        yield before


def known(facts: list[Fact]) -> list[KnownFact]:
    """The same, one a second."""
    return [KnownFact(fact=fact, known_s=number) for number, fact in enumerate(facts)]


def _fact(source: random.Random, number: int, period: Period) -> Fact:
    roll = source.random()
    if roll < 0.55:
        return _transfer(source, number, period)
    if roll < 0.8:
        return _reading(source, period)
    if roll < 0.95:
        return SiteVerdict(
            site_id=source.choice(SITES),
            period=period,
            verdict=source.choice(list(Verdict)),
            revision=source.randrange(3),
        )
    if roll < 0.97:
        return _share(source, period)
    return MarketResult(
        area=source.choice(("tokyo", "kansai")),
        period=period,
        contracts=_contracts(source),
        recorded_wh=source.choice((None, source.randrange(-5000, 5000))),
        telemetry_wh=source.randrange(-500, 500),
        imbalance_price=source.choice((None, Price("JPY", source.randrange(90_000_000)))),
        left_early_wh=source.randrange(900),
        revision=source.randrange(3),
    )


def _share(source: random.Random, period: Period) -> ImbalanceShare:
    figures = AreaFigures(
        area=source.choice(("tokyo", "kansai")),
        period=period,
        revision=source.randrange(3),
        deviation_wh=source.randrange(-900, 900),
        left_early_wh=source.randrange(1, 1800),
        imbalance_price=source.choice((None, Price("JPY", source.randrange(90_000_000)))),
        digest="",
    )
    return ImbalanceShare(
        cable_id=f"cable-{source.randrange(5)}",
        site_id=source.choice(SITES),
        driver=f"driver-{source.randrange(1, 4)}",
        record="",
        deviation_wh=source.randrange(-900, 900),
        figures=figures,
    )


def _contracts(source: random.Random) -> tuple[Contract, ...]:
    return tuple(
        Contract(
            contract_id=f"contract-{number}",
            energy_wh=source.randrange(-5000, 5000),
            price=Price("JPY", source.randrange(30_000_000)),
        )
        for number in range(source.randrange(3))
    )


def _transfer(source: random.Random, number: int, period: Period) -> Transfer:
    begin, end = sorted(source.sample(range(1801), 2))
    body = record(
        charged_wh=source.choice((0, source.randrange(3000))),
        discharged_wh=source.choice((0, source.randrange(3000))),
        start=begin,
        end=end,
        period=period,
        site_id=source.choice((*SITES, "")),
        driver_id=source.choice(("", "driver-1", "driver-2", "driver-3")),
    )
    if source.random() < 0.02:
        body = dataclasses.replace(body, clock_state=ClockState.UNKNOWN)
    return transfer(body, sequence=number, cable=f"cable-{source.randrange(5)}")


def _reading(source: random.Random, period: Period) -> SiteReading:
    return SiteReading(
        site_id=source.choice(SITES),
        period=period,
        source=source.choice(list(ReadingSource)),
        import_wh=source.choice((None, 0, source.randrange(3000))),
        export_wh=source.choice((None, 0, source.randrange(3000))),
        consumption_wh=source.choice((None, source.randrange(3000))),
        step_wh=source.choice((1, 100)),
        revision=source.randrange(3),
    )
