"""The market behind the folders as a venue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TypeVar
from uuid import UUID

from market_adapter.domain.bids import Bid, BidRefused, RefusalReason
from market_adapter.domain.contracts import AreaPrice, Contract, Outcome, PriceKind
from market_adapter.domain.profile import MarketProfile
from market_adapter.ports import Refused, Taken, VenueUnavailable
from market_adapter.venues.file_drop import tables
from market_adapter.venues.file_drop.folder import Folder, acknowledge
from market_adapter.venues.file_drop.tables import (
    Acknowledgement,
    AcknowledgementResult,
    Action,
    ContractRow,
    Row,
    TableError,
)

T = TypeVar("T")

_TAKEN = frozenset(
    {
        AcknowledgementResult.TAKEN,
        AcknowledgementResult.WITHDRAWN,
        AcknowledgementResult.NOT_WITHDRAWN,
        AcknowledgementResult.CLOSED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDrop:
    """The venue.

    Args:
        profile: What the market takes.
        folder: The files.
    """

    profile: MarketProfile
    folder: Folder

    async def submit(self, bids: Sequence[Bid]) -> Mapping[UUID, Taken | Refused]:
        """See `Venue.submit`: a bid is taken when the market's acknowledgement says so."""
        with _files_or_unavailable():
            out = self._dropped(Action.PLACE)
            self._drop(Action.PLACE, [bid for bid in bids if bid.bid_id not in out])
            said = self._acknowledgements()
        return {b.bid_id: _answer(said[b.bid_id]) for b in bids if b.bid_id in said}

    async def withdraw(self, bid: Bid) -> None:
        """See `Venue.withdraw`: unavailable until the market's acknowledgement is there."""
        with _files_or_unavailable():
            if bid.bid_id not in self._dropped(Action.PLACE):
                return
            if bid.bid_id not in self._dropped(Action.WITHDRAW):
                self._drop(Action.WITHDRAW, [bid])
            said = self._acknowledgements().get(bid.bid_id)
        match said.result if said else None:
            case AcknowledgementResult.WITHDRAWN | AcknowledgementResult.REFUSED:
                return
            case AcknowledgementResult.NOT_WITHDRAWN | AcknowledgementResult.CLOSED:
                assert said is not None
                raise BidRefused(RefusalReason.GATE_CLOSED, said.detail or said.result)
            case _:
                message = f"the withdrawal of {bid.bid_id} is not acknowledged yet"
                raise VenueUnavailable(message)

    async def outcomes(self, bids: Sequence[Bid]) -> Mapping[UUID, Outcome]:
        """See `Venue.outcomes`."""
        with _files_or_unavailable():
            said = self._acknowledgements()
            rows = self._contracts()
        return {
            bid.bid_id: self._outcome(bid, rows[bid.bid_id], said.get(bid.bid_id))
            for bid in bids
            if bid.bid_id in rows or bid.bid_id in said
        }

    async def prices(self, day: date) -> Sequence[AreaPrice]:
        """See `Venue.prices`."""
        with _files_or_unavailable():
            rows = self._read("prices", tables.PRICE_COLUMNS, tables.parse_price)
        latest = {(row.area_id, row.period): row.price for row in rows}
        return [
            AreaPrice(
                market_id=self.profile.market_id,
                kind=PriceKind.DAY_AHEAD,
                area_id=area_id,
                period=period,
                price=price,
                published_s=self.profile.gate_closes_s(period),
            )
            for (area_id, period), price in sorted(latest.items(), key=lambda i: i[0])
            if area_id in self.profile.areas and self.profile.day_of(period) == day
        ]

    async def close(self) -> None:
        """See `Venue.close`: nothing is held."""

    def _drop(self, action: Action, bids: Sequence[Bid]) -> None:
        if bids:
            rows = [tables.bid_row(action, bid) for bid in bids]
            text = tables.write_table(tables.BID_COLUMNS, rows, form=self.folder.form)
            self.folder.drop("bids", text)

    def _dropped(self, action: Action) -> set[UUID]:
        return {
            bid_id
            for form, text in self.folder.dropped("bids")
            for done, bid_id in tables.read_table(
                text, form=form, columns=("action", "bid_id"), parse=tables.parse_bid_key
            )
            if done is action
        }

    def _acknowledgements(self) -> dict[UUID, Acknowledgement]:
        columns, parse = tables.ACKNOWLEDGEMENT_COLUMNS, tables.parse_acknowledgement
        return {row.bid_id: row for row in self._read("acknowledgements", columns, parse)}

    def _contracts(self) -> defaultdict[UUID, list[ContractRow]]:
        rows: defaultdict[UUID, list[ContractRow]] = defaultdict(list)
        for row in self._read("contracts", tables.CONTRACT_COLUMNS, tables.parse_contract):
            if row.contract_id not in {known.contract_id for known in rows[row.bid_id]}:
                rows[row.bid_id].append(row)
        return rows

    def _read(self, kind: str, columns: Sequence[str], parse: Callable[[Row], T]) -> list[T]:
        """Rows of all good files of a kind; each file is acknowledged, a bad one is left out."""
        values: list[T] = []
        for path, text in self.folder.incoming(kind):
            try:
                rows = tables.read_table(text, form=path.suffix[1:], columns=columns, parse=parse)
            except TableError as error:
                acknowledge(path, error=str(error))
                continue
            acknowledge(path, rows=len(rows))
            values += rows
        return values

    def _outcome(
        self, bid: Bid, rows: Sequence[ContractRow], said: Acknowledgement | None
    ) -> Outcome:
        contracts = tuple(
            Contract(
                contract_id=row.contract_id,
                bid_id=bid.bid_id,
                market_id=bid.market_id,
                area_id=bid.area_id,
                period=bid.period,
                side=bid.side,
                energy_wh=row.energy_wh,
                price=row.price,
                at_s=row.at_s,
            )
            for row in rows
        )
        closed = said is not None and said.result is AcknowledgementResult.CLOSED
        return Outcome(contracts=contracts, is_final=closed)


def _answer(said: Acknowledgement) -> Taken | Refused:
    if said.result in _TAKEN:
        return Taken(venue_bid_id=said.venue_bid_id)
    return Refused(reason=RefusalReason.REFUSED_BY_VENUE, detail=said.detail)


@contextmanager
def _files_or_unavailable() -> Iterator[None]:
    """A folder that cannot be read or written is a venue that cannot be asked."""
    try:
        yield
    except OSError as error:
        message = f"the folder cannot be used: {error}"
        raise VenueUnavailable(message) from error
