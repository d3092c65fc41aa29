"""Early departures in the store: who bears what of an imbalance, in whatever order it comes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.evidence import plain
from gridcord.metering.records import TransferRecord
from gridcord.session.entry import EntryKey
from gridcord.settlement.departure import Expectation
from gridcord.settlement.facts import Payout
from gridcord.settlement.imbalance import Contract, MarketResult
from gridcord.settlement.imbalance_share import ImbalanceShare
from gridcord.settlement.tariff import TariffBook
from gridcord.settlement.terms import SettlementRule, Terms
from gridcord.settlement.transfer import Transfer, TransferKey
from gridcord.units import CableId, Price
from manager.domain.bidding.market_news import AreaContract, ImbalancePrice, MarketNews
from manager.domain.records.logged_entry import LoggedEntry, ReadEntry
from manager.storage.audit import chain
from manager.storage.derivation.projection import ProjectionPolicy, SqlProjection
from manager.storage.engine import Database
from manager.storage.followers import move_cursor
from manager.storage.ledger.check import check_ledger
from manager.storage.ledger.earlier_facts import current_text
from manager.storage.ledger.entries import ENTRIES, LedgerWriter, NewFact, facts_of
from manager.storage.ledger.market_settlement import settle_market
from manager.storage.market.expectations import SqlExpectations
from manager.storage.market.results import GRACE_S, records_came, take_news
from manager.storage.schema import migrate
from tests.contract.storage.test_ledger import balances, tariff
from tests.unit.settlement.cases import PERIOD, record

AREA = "3"
OVER_S = PERIOD.end_s + GRACE_S
PRICE = Price.per_kwh("JPY", "30")
TERMS = Terms(tariffs=TariffBook([tariff()]), rule=SettlementRule(imbalance_percent=50))
CABLES = ("cable-1", "cable-2", "cable-3")
Step = Callable[[], object]


class Evening:
    """1,500 Wh are sold of three cables that are counted on for 1,000 W each.

    Args:
        database: With its tables.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._numbers = 0
        expected = [
            Expectation(
                cable_id=cable, area=AREA, period=PERIOD, power_w=-1000, until_s=PERIOD.end_s
            )
            for cable in CABLES
        ]
        kept = SqlExpectations(database)
        asyncio.run(kept.keep(expected))
        asyncio.run(kept.keep([replace(each, power_w=-1) for each in expected]))

    def told(self, news: MarketNews) -> None:
        """The market tells, and what is due is settled."""
        self.database.write_now(lambda connection: take_news(connection, news))
        self.settle()

    def sold(self) -> None:
        contract = Contract(contract_id="c1", energy_wh=1_500, price=PRICE)
        self.told(AreaContract(area_id=AREA, period=PERIOD, contract=contract))

    def priced(self) -> None:
        self.told(ImbalancePrice(area_id=AREA, period=PERIOD, price=PRICE))

    def recorded(
        self,
        cable: str,
        discharged_wh: int,
        *,
        start: int = 0,
        end: int = 1800,
        final: bool = False,
    ) -> None:
        """A record comes, is projected and settled."""
        self._numbers += 1
        site_id = f"obis:{cable}"
        body = record(discharged_wh=discharged_wh, start=start, end=end, site_id=site_id)
        self._learn(replace(body, driver_id=f"driver-of-{cable}", final=final), cable)
        self.settle()

    def _learn(self, body: TransferRecord, cable: str) -> None:
        number = self._numbers
        entry = LoggedEntry(
            number=number,
            key=EntryKey(cable, 7, number),
            kind="TRANSFER",
            body=b"",
            signature=b"",
            signing_key=b"",
            rated_power_w=1500,
            receive_s=OVER_S,
        )
        projection = SqlProjection(self.database, ProjectionPolicy(terms=TERMS, sample_matched=0.0))
        asyncio.run(projection.apply([ReadEntry(entry=entry, content=body)], now_s=OVER_S))
        key = TransferKey(CableId(cable), 7, number)

        def work(connection: Connection) -> None:
            new = NewFact(content=Transfer(key=key, record=body), entry_number=number)
            LedgerWriter(connection, TERMS, now_s=OVER_S).add([new])
            move_cursor(connection, ENTRIES, str(number))
            records_came(connection, {PERIOD.start_s})

        self.database.write_now(work)

    def settle(self) -> None:
        self.database.write_now(
            lambda c: settle_market(c, TERMS, area_of_cables=AREA, now_s=OVER_S, limit=10)
        )

    def imbalances(self) -> dict[str, int]:
        """What accounts have of imbalances, micros."""
        query = (
            "SELECT account, SUM(micros) FROM ledger_posting WHERE purpose = 'IMBALANCE'"
            " GROUP BY account"
        )
        rows = self.database.read_now(lambda c: c.exec_driver_sql(query).all())
        return {account: int(micros) for account, micros in rows if micros}

    def check(self) -> None:
        """The ledger is what follows from its facts and sums to zero."""
        checked = self.database.read_now(lambda c: check_ledger(c, TERMS))
        assert (checked.problems, checked.sums) == ((), {"JPY": 0})


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def evening(database: Database) -> Evening:
    return Evening(database)


def test_who_left_early_bears_a_part_and_who_obeyed_nothing(evening: Evening) -> None:
    evening.sold()
    evening.recorded("cable-1", 500)
    evening.recorded("cable-2", 600)  # asked for more when the third had left
    evening.recorded("cable-3", 250, end=900, final=True)
    evening.priced()
    # 150 Wh short of 1,500; the third is 250 Wh short of what it was counted on for
    assert evening.imbalances() == {
        f"IMBALANCE:{AREA}": 150 * 30_000,
        "DRIVER:driver-of-cable-3": -150 * 30_000 // 2,
        "AGGREGATOR:": -150 * 30_000 // 2,
    }
    evening.check()


def test_who_came_back_is_given_its_part_again(evening: Evening) -> None:
    evening.sold()
    evening.priced()
    evening.recorded("cable-3", 250, end=900, final=True)
    assert "DRIVER:driver-of-cable-3" in evening.imbalances()
    evening.recorded("cable-3", 200, start=960)
    assert set(evening.imbalances()) == {f"IMBALANCE:{AREA}", "AGGREGATOR:"}
    found = evening.database.read_now(lambda c: [each.content for each in facts_of(c)])
    shares = [each for each in found if isinstance(each, ImbalanceShare)]
    assert [each.deviation_wh for each in shares] == [-250, 0]
    evening.check()


def test_who_was_blocked_when_it_left_bears_nothing(evening: Evening) -> None:
    block = (
        "INSERT INTO site_block (block_number, site_id, permission, cause, cable_id, reason, state,"
        " evidence, create_s, created_by) VALUES (1, 'obis:cable-3', 'NONE', 'OPERATOR', '', '',"
        f" 'ACTIVE', '[]', {PERIOD.start_s + 600}, 'alice')"
    )
    evening.database.write_now(lambda c: c.exec_driver_sql(block))
    evening.sold()
    evening.priced()
    evening.recorded("cable-3", 250, end=900, final=True)
    evening.recorded("cable-2", 0, end=300, final=True)
    assert set(evening.imbalances()) == {
        f"IMBALANCE:{AREA}",
        "AGGREGATOR:",
        "DRIVER:driver-of-cable-2",
    }


def test_whose_session_an_operator_ended_bears_nothing(evening: Evening) -> None:
    def end(cable: str, at_s: int) -> None:
        evening.database.write_now(
            lambda c: chain.append(
                c, actor="alice", action="SESSION_ENDED", subject=f"cable/{cable}", now_s=at_s
            )
        )

    end("cable-2", PERIOD.start_s - 1)
    end("cable-3", PERIOD.start_s + 600)
    evening.sold()
    evening.priced()
    evening.recorded("cable-3", 250, end=900, final=True)
    evening.recorded("cable-2", 0, end=300, final=True)
    assert "DRIVER:driver-of-cable-3" not in evening.imbalances()
    assert "DRIVER:driver-of-cable-2" in evening.imbalances()


@pytest.mark.parametrize("seed", range(4))
def test_any_order_ends_with_the_same_balances(seed: int, evening: Evening) -> None:
    steps: list[Step] = [
        evening.sold,
        evening.priced,
        lambda: evening.recorded("cable-1", 500),
        lambda: evening.recorded("cable-2", 100, end=600, final=True),
        lambda: evening.recorded("cable-2", 100, start=700, end=1500, final=True),
        lambda: evening.recorded("cable-3", 250, end=900, final=True),
    ]
    random.Random(seed).shuffle(steps)
    for step in steps:
        step()
    short_wh = 1_500 - 950
    third_wh, second_wh = 250, round(1000 * 300 / 3600)
    assert evening.imbalances() == {
        f"IMBALANCE:{AREA}": short_wh * 30_000,
        "DRIVER:driver-of-cable-3": -third_wh * 15_000,
        "DRIVER:driver-of-cable-2": -second_wh * 15_000,
        "AGGREGATOR:": -short_wh * 30_000 + (third_wh + second_wh) * 15_000,
    }
    assert balances(evening.database)[f"MARKET:{AREA}"] == -1_500 * 30_000
    evening.check()


def random_day(
    chance: random.Random,
) -> tuple[list[tuple[str, int, int, int, bool]], dict[str, int]]:
    """Records (cable, Wh discharged, begin, end, final), and who left when for good."""
    records: list[tuple[str, int, int, int, bool]] = []
    left: dict[str, int] = {}
    for cable in CABLES:
        conduct, at = (
            chance.choice(("stays", "leaves", "returns", "silent")),
            chance.randrange(1, 1700),
        )
        if conduct == "stays":
            records.append((cable, chance.randrange(900), 0, 1800, False))
        elif conduct != "silent":
            records.append((cable, chance.randrange(500), 0, at, True))
            left[cable] = at
        if conduct == "returns":
            again = chance.randrange(at + 1, 1800)
            stays = chance.random() < 0.5
            end = 1800 if stays else chance.randrange(again, 1799) + 1
            records.append((cable, chance.randrange(300), again, end, not stays))
            left[cable] = end
    return records, {cable: at for cable, at in left.items() if at < 1800}


@pytest.mark.parametrize("seed", range(5))
def test_random_days_come_to_what_the_rule_says_in_any_order(seed: int, evening: Evening) -> None:
    """By definition, computed here in fractions: each part, and to the micro the whole."""
    chance = random.Random(seed)
    records, left = random_day(chance)
    steps: list[Step] = [evening.sold, evening.priced]
    steps += [
        partial(evening.recorded, cable, wh, start=start, end=end, final=final)
        for cable, wh, start, end, final in records
    ]
    chance.shuffle(steps)
    for step in steps:
        step()
    off_wh = sum(wh for _, wh, *_ in records) - 1_500
    lacking = {cable: round(Fraction(1000 * (1800 - at), 3600)) for cable, at in left.items()}
    together_wh = sum(lacking.values())
    borne = min(Fraction(1), Fraction(abs(off_wh), together_wh)) if together_wh else Fraction(0)
    shares = {
        f"DRIVER:driver-of-{cable}": -round(wh * 30_000 * borne / 2)
        for cable, wh in lacking.items()
        if off_wh < 0 and wh
    }
    found = evening.imbalances()
    assert {name: each for name, each in found.items() if "DRIVER" in name} == shares
    assert found.get(f"IMBALANCE:{AREA}", 0) == -off_wh * 30_000
    assert found.get("AGGREGATOR:", 0) == off_wh * 30_000 - sum(shares.values())
    evening.check()


@pytest.mark.parametrize("verb", ["UPDATE expectation SET power_w = 0", "DELETE FROM expectation"])
def test_what_was_counted_on_is_never_changed(verb: str, evening: Evening) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        evening.database.write_now(lambda c: c.exec_driver_sql(verb))
    rows = evening.database.read_now(
        lambda c: c.exec_driver_sql("SELECT DISTINCT power_w FROM expectation").all()
    )
    assert [tuple(row) for row in rows] == [(-1000,)], "what was said first stays"


def test_facts_of_earlier_versions_are_read() -> None:
    old = (
        '{"area":"3","period":{"start_s":1795419000,"length_s":1800},"contracts":[],'
        '"delivered_wh":-7,"imbalance_price":null,"deviations_wh":[],"revision":2}'
    )
    result = plain.read(MarketResult, current_text("MARKET", old))
    assert (result.delivered_wh, result.recorded_wh, result.revision) == (-7, None, 2)
    assert current_text("MARKET", plain.write(result)) == plain.write(result)
    paid = (
        '{"account":{"kind":"DRIVER","owner":"d"},"month":"2026-11",'
        '"amount":{"currency":"JPY","micros":8000000}}'
    )
    payout = plain.read(Payout, current_text("PAYOUT", paid))
    assert payout.before_s is None
    assert current_text("PAYOUT", plain.write(payout)) == plain.write(payout)
