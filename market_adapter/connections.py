"""Venues and feeds as settings name them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from gridcord.chassis.clock import Clock
from gridcord.chassis.settings import SettingsError
from gridcord.protocols.jepx.fields import AREA_CODES
from gridcord.protocols.jepx_csv import JepxCsvError
from gridcord.simulation.exchange.background import Depth
from market_adapter.domain.profile import Clearing, MarketProfile, ProfileError
from market_adapter.ports import PriceSource, SignalFeed, Venue
from market_adapter.profiles.reader import built_in_profile, read_profile
from market_adapter.settings import ImbalanceSettings, OpenAdrSettings, VenueSettings
from market_adapter.venues.file_drop.folder import Folder
from market_adapter.venues.file_drop.venue import FileDrop
from market_adapter.venues.imbalance_files import ImbalanceFiles
from market_adapter.venues.jepx.connection import Endpoint, Pool
from market_adapter.venues.jepx.day_ahead import JepxDayAhead
from market_adapter.venues.jepx.intraday import JepxIntraday
from market_adapter.venues.openadr.ven3 import Ven3, VenSettings
from market_adapter.venues.price_file import Journal, JournalError, PriceFile, read_price_file

T = TypeVar("T")
Pools = dict[tuple[str, int, str], Pool]  # by host, port and member, whom the exchange counts


def open_venues(
    sections: Sequence[VenueSettings], *, clock: Clock
) -> Mapping[str, tuple[Venue, VenueSettings]]:
    """The venues that settings name, by market id, each with its settings.

    Raises:
        SettingsError: See `open_venue`; or two are of one market or of other periods.
        OSError: A file or folder cannot be used.
    """
    found: dict[str, tuple[Venue, VenueSettings]] = {}
    pools: Pools = {}
    for settings in sections:
        profile = open_profile(settings)
        venue = open_venue(settings, profile=profile, clock=clock, pools=pools)
        if venue is None:
            continue
        if profile.market_id in found:
            message = f"{settings.section}.profile: another venue trades at {profile.market_id}"
            raise SettingsError(message)
        lengths = {each.profile.calendar.length_s for each, _ in found.values()}
        if lengths - {profile.calendar.length_s}:
            message = f"{settings.section}.profile: its periods are of another length"
            raise SettingsError(message)
        found[profile.market_id] = venue, settings
    return found


def open_profile(settings: VenueSettings) -> MarketProfile:
    """The market's rules.

    Raises:
        SettingsError: There is no such profile, or the file is none.
        OSError: The file cannot be read.
    """
    try:
        if settings.profile_file is not None:
            return read_profile(settings.profile_file)
        return built_in_profile(settings.profile)
    except ProfileError as error:
        message = f"{settings.section}.profile: {error}"
        raise SettingsError(message) from error


def open_venue(
    settings: VenueSettings, *, profile: MarketProfile, clock: Clock, pools: Pools
) -> Venue | None:
    """The venue; None for none.

    Args:
        settings: What it is.
        profile: What its market takes.
        clock: Time.
        pools: Connections to exchanges; venues of one exchange share them.

    Raises:
        SettingsError: Something that this kind of venue needs is missing or cannot be used.
        OSError: A file or folder cannot be used.
    """
    match settings.kind:
        case "none":
            return None
        case "price_file":
            return _price_file(settings, profile, clock)
        case "file_drop":
            folder = _needed(f"{settings.section}.folder", settings.folder, "file_drop")
            return FileDrop(profile=profile, folder=Folder(root=folder, form=settings.form))
        case "jepx":
            return _jepx(settings, profile, clock, pools)


def open_feed(settings: OpenAdrSettings) -> SignalFeed | None:
    """Who says demand response; None for nobody.

    Raises:
        SettingsError: Something that this version needs is missing or cannot be used.
        OSError: A file cannot be read.
    """
    if settings.url is None:
        return None
    return _ven3(settings, settings.url) if settings.version == "3.1" else _ven2(settings)


def open_prices(settings: ImbalanceSettings, *, clock: Clock) -> PriceSource | None:
    """Who tells what an imbalance costs; None for nobody.

    Raises:
        OSError: The folder cannot be used.
    """
    if settings.folder is None:
        return None
    return ImbalanceFiles(folder=settings.folder, settled_by=settings.settled_by, now=clock.now)


def _price_file(settings: VenueSettings, profile: MarketProfile, clock: Clock) -> Venue:
    section = settings.section
    prices = _needed(f"{section}.prices", settings.prices, "price_file")
    journal = _needed(f"{section}.journal", settings.journal, "price_file")
    try:
        return PriceFile(
            profile=profile,
            prices_of=read_price_file(prices, profile=profile),
            journal=Journal(journal),
            clock=clock,
            depth=Depth(
                step_wh=settings.step_lots * profile.lot_wh,
                step_micros_per_kwh=10 * profile.tick_micros_per_kwh,
            ),
        )
    except JepxCsvError as error:
        message = f"{section}.prices: {prices}: {error}"
        raise SettingsError(message) from error
    except JournalError as error:
        message = f"{section}.journal: {error}"
        raise SettingsError(message) from error


def _jepx(settings: VenueSettings, profile: MarketProfile, clock: Clock, pools: Pools) -> Venue:
    section = settings.section
    if not profile.areas.items() <= AREA_CODES.items():
        message = f"{section}.profile: {profile.market_id} has areas that JEPX does not have"
        raise SettingsError(message)
    endpoint = _endpoint(settings)
    place = endpoint.host, endpoint.port, endpoint.member
    pool = pools.setdefault(place, Pool(endpoint=endpoint, clock=clock))
    kind = JepxDayAhead if profile.clearing is Clearing.AUCTION else JepxIntraday
    return kind(
        profile=profile,
        pool=pool,
        contract_code=_needed(f"{section}.contract_code", settings.contract_code, "jepx"),
        clock=clock,
        settle_s=settings.settle_s,
    )


def _endpoint(settings: VenueSettings) -> Endpoint:
    section = settings.section
    roots = _needed(f"{section}.roots", settings.roots, "jepx")
    return Endpoint(
        host=_needed(f"{section}.host", settings.host, "jepx"),
        port=_needed(f"{section}.port", settings.port, "jepx"),
        tls=_trust(f"{section}.roots", roots),
        member=_needed(f"{section}.member", settings.member, "jepx"),
        timeout_s=settings.timeout_s,
    )


def _trust(key: str, roots: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=roots)
    except (ssl.SSLError, OSError) as error:
        message = f"{key}: {roots}: no certificates: {error}"
        raise SettingsError(message) from error


def _ven3(settings: OpenAdrSettings, url: str) -> SignalFeed:
    for key in ("certificate", "key", "roots"):
        if getattr(settings, key) is not None:
            message = f"openadr.{key}: is for version 2.0b; remove it"
            raise SettingsError(message)
    secret = _needed("openadr.secret_file", settings.secret_file, "version 3.1")
    return Ven3(
        VenSettings(
            url=url,
            client_id=_needed("openadr.client_id", settings.client_id, "version 3.1"),
            client_secret=_needed("openadr.secret_file", _first_line(secret), "version 3.1"),
            ven_name=settings.ven_name,
            program_names=_needed("openadr.programs", settings.programs, "version 3.1"),
            area_id=settings.area,
            watts_per_level=settings.watts_per_level,
        )
    )


def _ven2(settings: OpenAdrSettings) -> SignalFeed:
    try:
        from market_adapter.venues.openadr.ven2 import Ven2, Ven2Settings
    except ImportError as error:
        message = f"openadr.version: 2.0b needs `pip install gridcord[openadr2]` ({error})"
        raise SettingsError(message) from error
    files = (settings.certificate, settings.key, settings.roots)
    if any(files) and not all(files):
        message = "openadr: certificate, key and roots are needed together"
        raise SettingsError(message)
    certificate, key, roots = (None if file is None else str(file) for file in files)
    return Ven2(
        Ven2Settings(
            url=settings.url or "",
            ven_name=settings.ven_name,
            area_id=settings.area,
            watts_per_level=settings.watts_per_level,
            certificate=certificate,
            key=key,
            ca_file=roots,
        )
    )


def _first_line(path: Path) -> str:
    return path.read_text("utf-8").partition("\n")[0].strip()


def _needed(key: str, value: T | None, what_for: str) -> T:
    if not value:
        message = f"{key}: {what_for} needs it"
        raise SettingsError(message)
    return value
