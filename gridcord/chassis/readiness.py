"""What would keep a program from starting here, beside its settings: files, folders, ports.

It looks and changes nothing; rights are those of the account that asks.
"""

from __future__ import annotations

import errno
import os
import pwd
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from stat import S_IFDIR, S_IFMT, S_IFREG
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gridcord.chassis.admission import DenyListError, read_deny_list
from gridcord.chassis.credentials import CredentialsError, load_identity
from gridcord.chassis.sections import (
    DenyListSettings,
    ListenSettings,
    MetricsSettings,
    TlsSettings,
)
from gridcord.chassis.settings import ProgramSettings, Use
from gridcord.chassis.supervisor import read_ready_file


def obstacles(settings: ProgramSettings) -> Iterator[str]:
    """Everything that is in the way, a line each: setting, what is wrong, what to do."""
    yield from _of_paths(settings)
    for name in type(settings).model_fields:
        section = getattr(settings, name)
        match section:
            case TlsSettings():
                yield from (f"{name}: {each}" for each in _of_identity(section))
            case DenyListSettings():
                yield from (f"{name}: {each}" for each in _of_deny_list(section))
            case ListenSettings():
                yield from (f"{name}.address: {each}" for each in _of_listening(section))
            case MetricsSettings() if section.address is not None:
                if not _is_ours(settings, "metrics", section.address):
                    yield from (f"{name}.address: {each}" for each in _of_address(section.address))


def _of_paths(model: BaseModel, above: str = "") -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _of_paths(value, f"{above}{name}.")
        elif isinstance(value, Path) and (wrong := _of_path(value, use_of(field))) is not None:
            yield f"{above}{name}: {wrong}"


def use_of(field: FieldInfo) -> Use | None:
    """What a path is for; the annotation may be optional."""
    marks = list(field.metadata)
    for kind in get_args(field.annotation):
        if get_origin(kind) is Annotated:
            marks += kind.__metadata__
    return next((mark for mark in marks if isinstance(mark, Use)), None)


def _of_path(path: Path, use: Use | None) -> str | None:
    match use:
        case None:
            return None
        case Use.READ:
            return _of_reading(path)
        case Use.FILL:
            return _of_folder(path)
    if _kind(path) == S_IFDIR:
        return f"{path} is a folder: name a file"
    if _kind(path) == S_IFREG and not _may(path, os.R_OK | os.W_OK):
        return f"{_account()} cannot write {path}: {_give(path)}"
    if use is Use.PLACE and _kind(path.parent) != S_IFDIR:
        return f"{_account()} finds no folder {path.parent}: {_make(path.parent)}"
    return _of_folder(path.parent)


def _of_reading(path: Path) -> str | None:
    if not _kind(path):
        return f"{_account()} finds no {path}: put it there, or let this account into its folders"
    if _kind(path) != S_IFREG:
        return f"{path} is no file: name another path"
    return None if _may(path, os.R_OK) else f"{_account()} cannot read {path}: {_give(path)}"


def _of_folder(folder: Path) -> str | None:
    """Whether files can be put into a folder; one that is missing is made by the program."""
    there = next(each for each in (folder, *folder.parents) if _kind(each))
    if _kind(there) != S_IFDIR:
        return f"{there} is no folder: name another path"
    if _may(there, os.W_OK | os.X_OK):
        return None
    if there == folder:
        return f"{_account()} cannot write to {folder}: {_give(folder)}"
    return f"there is no folder {folder}, and {_account()} cannot make it: {_make(folder)}"


def _kind(path: Path) -> int:
    """S_IFREG, S_IFDIR and so on; 0 where nothing is, or nothing that this account can see."""
    try:
        return S_IFMT(path.stat().st_mode)
    except OSError:
        return 0


def _may(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=True)


def _give(path: Path) -> str:
    return f"give it to this account (chown {_account()} {path})"


def _make(folder: Path) -> str:
    return f"make it (install -d -o {_account()} {folder})"


def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's account may have no name
        return str(os.geteuid())


def _of_identity(tls: TlsSettings) -> Iterator[str]:
    if any(_of_path(path, Use.READ) for path in (tls.certificate, tls.key, tls.roots)):
        return  # is told already
    try:
        own = load_identity(tls.files()).own
    except CredentialsError as error:
        yield f"{error}: put certificate, key and roots of one identity there"
        return
    if own.not_after_s <= time.time():
        ended = datetime.fromtimestamp(own.not_after_s, UTC).isoformat(" ", "minutes")
        yield f"{tls.certificate} expired at {ended}: renew it, and copy the new one there"


def _of_deny_list(deny_list: DenyListSettings) -> Iterator[str]:
    if deny_list.file is not None and _of_path(deny_list.file, Use.READ) is None:
        try:
            read_deny_list(deny_list.file)
        except DenyListError as error:
            yield f"{error}: mend the line"


def _of_listening(listen: ListenSettings) -> Iterator[str]:
    if not listen.share_port and not _serves(listen.ready_file, "grpc", listen.address):
        yield from _of_address(listen.address)


def _is_ours(settings: ProgramSettings, name: str, address: str) -> bool:
    listen = getattr(settings, "listen", None)
    return isinstance(listen, ListenSettings) and _serves(listen.ready_file, name, address)


def _serves(ready_file: Path | None, name: str, address: str) -> bool:
    """Whether this very program runs already and is what listens there."""
    try:
        facts = read_ready_file(ready_file) if ready_file is not None else None
        if facts is None or facts.get(name) != address:
            return False
        os.kill(int(facts["pid"]), 0)
    except PermissionError:  # it runs, under another account
        return True
    except (OSError, ValueError):
        return False
    return True


def _of_address(address: str) -> Iterator[str]:
    host, _, port = address.rpartition(":")
    try:
        found: list[Any] = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, place = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen(1)
    except (OSError, OverflowError) as error:
        yield f"cannot listen on {address}: {_why(error)}"


def _why(error: Exception) -> str:
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            return "somebody does already, perhaps this program: end that, or choose another port"
        case errno.EADDRNOTAVAIL:
            return "it is not an address of this machine: choose one of its own"
        case errno.EACCES:
            return "this account may not use ports below 1024: choose a higher one"
    return f"{error}: choose an address of this machine"
