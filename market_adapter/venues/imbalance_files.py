"""Files that tell what an imbalance costs, carried into one folder by somebody else.

They are Japan's public table (`gridcord.protocols.imbalance_csv`), or tables of the columns of
`file_drop`'s prices for every other market. A file that changed is read again as a whole; beside
each stands `<name>.ok` or `<name>.error`, as in `file_drop`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gridcord.protocols.imbalance_csv import (
    ImbalanceCsvError,
    is_imbalance_table,
    parse_imbalance,
)
from gridcord.protocols.jepx_csv import JepxCsvError, decoded
from market_adapter.domain.contracts import AreaPrice, PriceKind
from market_adapter.ports import FeedUnavailable
from market_adapter.venues.file_drop.folder import FORMS, MAX_BYTES, acknowledge
from market_adapter.venues.file_drop.tables import (
    PRICE_COLUMNS,
    TableError,
    parse_price,
    read_table,
)

_Seen = tuple[int, int]


class ImbalanceFiles:
    """A folder of files, as a source of prices.

    Args:
        folder: Made when it is not there.
        settled_by: Who settles by these prices: their market's id.
        now: Seconds since 1970 UTC: when prices came that do not say when they were published.

    Raises:
        OSError: The folder cannot be made.
    """

    def __init__(self, *, folder: Path, settled_by: str, now: Callable[[], float]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = f"imbalance:{folder.name}"
        self._folder = folder
        self._settled_by = settled_by
        self._now = now
        self._seen: dict[Path, _Seen] = {}
        self._told: dict[Path, _Seen] = {}

    def prices(self) -> Sequence[AreaPrice]:
        """See `PriceSource.prices`: those of files that are new or changed, by name of the file."""
        prices: list[AreaPrice] = []
        self._told = {}
        try:
            for path in sorted(p for form in FORMS for p in self._folder.glob(f"[!.]*.{form}")):
                status = path.stat()
                seen = (status.st_mtime_ns, status.st_size)
                if self._seen.get(path) != seen:
                    prices += self._read(path)
                    self._told[path] = seen
        except OSError as error:
            message = f"the folder cannot be used: {error}"
            raise FeedUnavailable(message) from error
        return prices

    def kept(self) -> None:
        """See `PriceSource.kept`: files that were told of are not read again."""
        self._seen |= self._told

    def _read(self, path: Path) -> Sequence[AreaPrice]:
        """Prices of a file; none of one that is not sound, which is said beside it."""
        try:
            if path.stat().st_size > MAX_BYTES:
                message = f"larger than {MAX_BYTES} bytes"
                raise TableError(message)
            prices = self._parse(decoded(path.read_bytes()), form=path.suffix[1:])
        except (ImbalanceCsvError, JepxCsvError, TableError) as error:
            acknowledge(path, error=str(error))
            return ()
        acknowledge(path, rows=len(prices))
        return prices

    def _parse(self, text: str, *, form: str) -> Sequence[AreaPrice]:
        if is_imbalance_table(text):
            table = parse_imbalance(text)
            rows, published_s = table.prices, table.published_s
        else:
            found = read_table(text, form=form, columns=PRICE_COLUMNS, parse=parse_price)
            rows = {(row.area_id, row.period): row.price for row in found}
            published_s = int(self._now())
        return [
            AreaPrice(
                market_id=self._settled_by,
                kind=PriceKind.IMBALANCE,
                area_id=area_id,
                period=period,
                price=price,
                published_s=published_s,
            )
            for (area_id, period), price in rows.items()
        ]
