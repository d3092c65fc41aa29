"""Evidence bundles: one file from which anyone can derive what was earned and billed.

A bundle holds what was known (signed journal entries of the cables, readings with revisions,
tariffs, consents, rules, verdicts) and what was made of it (earnings, fees, site bills, ledger,
balances). `verify` needs no server and no trust in whoever wrote it beyond what docs/evidence.md
lists: it checks every chain and signature, derives everything again and names the first line that
is not what it was.
"""

from __future__ import annotations

from gridcord.evidence.bundle_archive import BundleFault, BundleWriter, Manifest, Scope
from gridcord.evidence.bundle_check import verify
from gridcord.evidence.bundle_lines import DERIVED, INPUTS, MEMBERS
from gridcord.evidence.bundle_report import Report, Trust
from gridcord.evidence.bundle_writing import BundleSource, MemorySource, write_bundle
from gridcord.evidence.verdict_check import MatchFunction

__all__ = [
    "DERIVED",
    "INPUTS",
    "MEMBERS",
    "BundleFault",
    "BundleSource",
    "BundleWriter",
    "Manifest",
    "MatchFunction",
    "MemorySource",
    "Report",
    "Scope",
    "Trust",
    "verify",
    "write_bundle",
]
