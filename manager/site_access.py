"""The file of route-B secrets: TOML that nobody but its owner can read.

    ["jp.routeb:0011223344556677"]
    route_b_id = "..."
    password = "..."
    cables = ["c-0001"]

The manager looks at it whenever a cable connects; `gridcord site-access` writes it.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import structlog

from gridcord.chassis.settings import SettingsError
from gridcord.units import CableId, parse_device_id, parse_site_id
from manager.domain.trust.site_access import SiteAccess

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_KEYS = {"route_b_id", "password", "cables", "any_cable"}

Table = Mapping[str, SiteAccess]

log = structlog.get_logger()


class SiteAccessError(SettingsError):
    """The file cannot be used; the text never holds a secret."""


def read_site_access(path: Path) -> dict[str, SiteAccess]:
    """The accesses of a file, by site.

    Raises:
        SiteAccessError: It cannot be read, others may read it, or an entry is none.
    """
    try:
        if path.stat().st_mode & _OTHERS:
            message = f"{path} can be read by others: chmod 600"
            raise SiteAccessError(message)
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read {path}: {type(error).__name__}"
        raise SiteAccessError(message) from None
    except tomllib.TOMLDecodeError:
        message = f"{path} is no TOML"  # the parser's text quotes what it read
        raise SiteAccessError(message) from None
    return {site_id: _access(path, site_id, table) for site_id, table in tables.items()}


def write_site_access(path: Path, accesses: Iterable[SiteAccess]) -> None:
    """Replace the file at once, readable by its owner alone.

    Raises:
        SiteAccessError: It cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    text = "\n".join(_text(access) for access in sorted(accesses, key=lambda each: each.site_id))
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        message = f"cannot write {path}: {error.strerror}"
        raise SiteAccessError(message) from error


class SiteAccessFile:
    """The file as a running manager sees it: read anew when it changed.

    Args:
        path: Of the file; None for none.

    Raises:
        SiteAccessError: It cannot be used at start.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp = self._look()
        self._table: Table = read_site_access(path) if path else {}

    def of(self, cable_id: str, site_id: str) -> list[SiteAccess]:
        """What a cable may have; a file that was damaged leaves what was there before."""
        if (stamp := self._look()) != self._stamp:
            self._reload(stamp)
        return [access for access in self._table.values() if access.is_for(cable_id, site_id)]

    def _reload(self, stamp: tuple[int, ...]) -> None:
        assert self._path is not None
        try:
            self._table = read_site_access(self._path)
        except SiteAccessError as error:
            log.error("site_access.refused", error=str(error))
            return
        self._stamp = stamp
        log.info("site_access.loaded", sites=len(self._table))

    def _look(self) -> tuple[int, ...]:
        """What changes when the file does."""
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            return (-1,)
        if found is None:
            return ()
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)


def _access(path: Path, site_id: str, table: Any) -> SiteAccess:
    try:
        if not isinstance(table, dict) or not table.keys() <= _KEYS:
            message = f"{site_id}: only {', '.join(sorted(_KEYS))}"
            raise ValueError(message)
        return SiteAccess(
            site_id=parse_site_id(site_id),
            route_b_id=str(table.get("route_b_id", "")),
            password=str(table.get("password", "")),
            cables=frozenset(CableId(parse_device_id(str(c))) for c in table.get("cables", ())),
            any_cable=table.get("any_cable") is True,
        )
    except (TypeError, ValueError) as error:
        message = f"{path}: {error}"
        raise SiteAccessError(message) from None


def _text(access: SiteAccess) -> str:
    lines = [
        f"[{json.dumps(access.site_id)}]",
        f"route_b_id = {json.dumps(access.route_b_id)}",
        f"password = {json.dumps(access.password)}",
        f"cables = {json.dumps(sorted(access.cables))}",
        f"any_cable = {json.dumps(access.any_cable)}",
    ]
    return "\n".join(lines) + "\n"
