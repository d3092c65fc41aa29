"""What a server gives gRPC for each connection: new files once, nothing while nothing changed."""

from __future__ import annotations

import time
from pathlib import Path

from gridcord.chassis.credentials import FollowedFiles, TlsFiles
from gridcord.chassis.identity import Kind, Principal
from gridcord.chassis.pki import PkiFolder


def issued(folder: Path) -> tuple[PkiFolder, TlsFiles]:
    pki = PkiFolder(folder)
    pki.create(domain="grid.example", now_s=time.time() - 60)
    principal = Principal(domain="grid.example", kind=Kind.MANAGER, id="main")
    return pki, pki.issue(principal, now_s=time.time() - 60)


def test_files_that_did_not_change_are_not_given_again(tmp_path: Path) -> None:
    """gRPC makes a TLS context of whatever it is given, while others may be using the old one."""
    _, files = issued(tmp_path)
    follow = FollowedFiles(files, settle_s=0)
    assert [follow() for _ in range(3)] == [None] * 3
    files.certificate.write_bytes(files.certificate.read_bytes())
    assert follow() is None


def test_new_files_are_given_once(tmp_path: Path) -> None:
    pki, files = issued(tmp_path)
    follow = FollowedFiles(files, settle_s=0)
    before = follow.current
    pki.renew(files.certificate.parent, now_s=time.time(), days=9, with_new_key=True)
    assert follow() is follow.current
    assert follow.current is not before
    assert follow() is None


def test_files_that_cannot_be_used_leave_what_was_there(tmp_path: Path) -> None:
    pki, files = issued(tmp_path)
    follow = FollowedFiles(files, settle_s=0)
    before, good = follow.current, files.certificate.read_bytes()
    files.certificate.write_bytes(b"damaged")
    assert follow() is None
    assert follow.current is before
    files.certificate.write_bytes(good)
    assert follow() is None
    pki.renew(files.certificate.parent, now_s=time.time(), days=9)
    assert follow() is follow.current is not before
    assert follow() is None
    assert pki.files(Principal(domain="grid.example", kind=Kind.MANAGER, id="main")) == files


def test_who_began_with_the_old_content_gets_a_moment(tmp_path: Path) -> None:
    """The core asks under a lock, and frees the old content when the answer comes."""
    pki, files = issued(tmp_path)
    follow = FollowedFiles(files, settle_s=0.2)
    assert follow() is None
    pki.renew(files.certificate.parent, now_s=time.time(), days=9)
    renewed_s = time.monotonic()
    assert follow() is not None
    assert time.monotonic() - renewed_s >= 0.2
