"""Who may call what of the manager: the one table; what is not in it is refused."""

from __future__ import annotations

from gridcord.chassis.authorization import ADMINS, OPERATORS, VIEWERS, Grantee, Policy
from gridcord.chassis.identity import Kind

_V1 = "/gridcord.api.manager.v1."
_DRIVERS: frozenset[Grantee] = frozenset({Kind.DRIVER}) | VIEWERS

POLICY = Policy(
    {
        f"{_V1}CableSessionService/Connect": frozenset({Kind.CABLE}),
        f"{_V1}ResourceSessionService/Dispatch": frozenset({Kind.RESOURCE}),
        f"{_V1}TransferService/GetTransfer": VIEWERS,
        f"{_V1}TransferService/ListTransfers": VIEWERS,
        f"{_V1}TransferService/WatchTransfers": VIEWERS,
        f"{_V1}SiteBlockService/CreateSiteBlock": OPERATORS,
        f"{_V1}SiteBlockService/ListSiteBlocks": VIEWERS,
        f"{_V1}SiteBlockService/LiftSiteBlock": OPERATORS,
        f"{_V1}SiteBlockService/RequestActiveProof": OPERATORS,
        f"{_V1}FleetService/ListCableSessions": VIEWERS,
        f"{_V1}FleetService/EndCableSession": OPERATORS,
        f"{_V1}FleetService/ListSites": VIEWERS,
        f"{_V1}FleetService/GetSite": VIEWERS,
        f"{_V1}FleetService/ListResources": VIEWERS,
        f"{_V1}FleetService/ListDemand": VIEWERS,
        f"{_V1}DriverService/ListEarnings": _DRIVERS,
        f"{_V1}DriverService/WatchNotices": _DRIVERS,
        f"{_V1}AuditService/ListAuditEntries": ADMINS,
        f"{_V1}EvidenceService/ExportBundle": OPERATORS,
    }
)
