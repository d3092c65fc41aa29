"""Active proofs: what drivers were promised stays, blocks that no proof lifts stay."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.metering.proof_pattern import Plateau, proof_pattern
from gridcord.metering.reading import Permission
from gridcord.metering.records import AssetLoading
from gridcord.session.events import DirectiveReceived
from gridcord.units import SiteId
from manager.domain.records.resource import ResourceState
from manager.domain.trust.permission import Granted, PermissionPolicy
from manager.domain.trust.proof_limits import LEAVES_SOON_S, MOST_ENERGY_WH, proof_limits
from manager.domain.trust.site_block import BlockCause, SiteBlock
from manager.policies import proof_policy
from manager.ports import CheckedSite, SiteSituation
from manager.settings import ManagerSettings, MatchSettings, SessionSettings
from manager.usecases.permit import ACTIVE_PROOF, LeasePolicy, Permits
from manager.usecases.prove_sites import ProofNotPossible, ProofPolicy, Prover

SITE = SiteId("obis:4530303033")
NOW_S = 1_800_000_000.0


def vehicle(**changes: object) -> ResourceState:
    values: dict[str, object] = {
        "resource_id": "vehicle",
        "area_id": "tokyo",
        "permission": Permission.BIDIRECTIONAL,
        "transfer_permitted": True,
        "power_w": 0,
        "charge_limit_w": 1400,
        "discharge_limit_w": 1500,
        "soc_percent": 60.0,
        "capacity_wh": 40_000,
        "reserve_percent": 30.0,
    }
    return ResourceState(**(values | changes))  # type: ignore[arg-type]


@given(
    soc=st.floats(0, 100),
    reserve=st.floats(0, 100),
    needed=st.floats(0, 100),
    leaves_in_s=st.one_of(st.none(), st.floats(0, 86_400)),
    capacity_wh=st.integers(1_000, 100_000),
    charge_w=st.integers(0, 3000),
    discharge_w=st.integers(0, 3000),
    seed=st.binary(min_size=16, max_size=32),
)
def test_no_pattern_touches_what_the_driver_was_promised(
    soc: float,
    reserve: float,
    needed: float,
    leaves_in_s: float | None,
    capacity_wh: int,
    charge_w: int,
    discharge_w: int,
    seed: bytes,
) -> None:
    state = vehicle(
        soc_percent=soc,
        reserve_percent=reserve,
        departure_percent=needed,
        departure_s=None if leaves_in_s is None else NOW_S + leaves_in_s,
        capacity_wh=capacity_wh,
        charge_limit_w=charge_w,
        discharge_limit_w=discharge_w,
    )
    limits = proof_limits(state=state, reading_s=6.0, now_s=NOW_S)
    if limits is None:
        return
    pattern = proof_pattern(seed=seed, limits=limits)
    moved_wh = sum(p.power_w * (p.end_s - p.start_s) for p in pattern) / 3600
    assert all(-discharge_w <= p.power_w <= charge_w for p in pattern)
    assert abs(moved_wh) <= MOST_ENERGY_WH + 0.01
    after_percent = soc + 100 * moved_wh / capacity_wh
    assert after_percent <= 100.01
    if moved_wh < 0:
        assert after_percent >= reserve - 0.01
        if leaves_in_s is not None and leaves_in_s <= LEAVES_SOON_S:
            assert after_percent >= needed - 0.01


@dataclass
class Cable:
    """A live session of a cable."""

    device_id: str = "cable-1"
    site_id: str = SITE
    can_prove: bool = True
    proving: bool = False
    fence: int = 1
    clone_suspected: bool = False
    asset_loading: AssetLoading | None = None
    granted: Granted | None = None
    asked: list[float] = field(default_factory=list)

    def ask_for_proof(self, proof_id: str, pattern: Sequence[Plateau], *, start_s: float) -> None:
        assert proof_id
        assert pattern
        self.asked.append(start_s)

    def direct(self, directive: DirectiveReceived, granted: Granted) -> None:
        self.granted = granted


@dataclass
class Resource:
    """A live session of a vehicle; every setpoint it was sent."""

    held: ResourceState | None
    cable_id: str = "cable-1"
    pinned_w: int | None = None
    setpoints_w: list[int] = field(default_factory=list)

    def state(self) -> ResourceState | None:
        return self.held

    def steer(self, power_w: int, *, lease_s: float, reason: str) -> None:
        assert (lease_s, reason) == (30.0, "ACTIVE_PROOF")
        assert self.pinned_w == power_w  # dispatch books what a proof moves
        self.setpoints_w.append(power_w)


@dataclass
class Proofs:
    """Keeps since when it was looked for earlier proofs: those that count, and all."""

    looked_since_s: list[tuple[int, int]] = field(default_factory=list)
    questioned: list[str] = field(default_factory=list)

    async def asked(self, proof_id: str, **facts: object) -> None:
        assert facts["expire_s"]

    async def in_question(self, site_id: SiteId) -> list[str]:
        return self.questioned

    async def recent(self, site_id: SiteId, *, since_s: int, undecided_since_s: int) -> bool:
        self.looked_since_s.append((since_s, undecided_since_s))
        return False


def prover(
    cable: Cable | Sequence[Cable],
    resource: Resource | Sequence[Resource],
    *,
    blocks: Sequence[SiteBlock] = (),
    loadings: Sequence[AssetLoading] = (),
    fails_after: int | None = None,
    proofs: Proofs | None = None,
    policy: ProofPolicy | None = None,
) -> Prover:
    clock = {"s": NOW_S, "slept": 0}
    cables = [cable] if isinstance(cable, Cable) else list(cable)
    resources = [resource] if isinstance(resource, Resource) else list(resource)

    async def sleep(seconds: float) -> None:
        clock["s"] += max(0.0, seconds)
        clock["slept"] += 1
        if clock["slept"] == fails_after:
            raise ConnectionError
        await asyncio.sleep(0)

    return Prover(
        proofs=proofs or Proofs(),
        policy=policy or ProofPolicy(),
        cables=lambda: cables,
        resources=lambda: resources,
        permitted=permits(blocks, loadings, cables).while_proving,
        now=lambda: clock["s"],
        sleep=sleep,
        changed=lambda: None,
    )


@pytest.mark.parametrize("fails_after", [None, 3])
def test_a_vehicle_is_let_go_when_the_pattern_ends_or_breaks(fails_after: int | None) -> None:
    async def scenario() -> None:
        cable, resource = Cable(), Resource(held=vehicle())
        proving = prover(cable, resource, fails_after=fails_after)
        await proving.ask(SITE, "appeal", "operator-1")
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
        assert cable.asked == [NOW_S + 72.0]
        assert set(resource.setpoints_w) <= {0, -1500}
        assert len(resource.setpoints_w) == (25 if fails_after is None else 2)
        assert (resource.pinned_w, cable.proving) == (None, False)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "held",
    [
        None,
        vehicle(transfer_permitted=False),
        vehicle(discharge_limit_w=100, charge_limit_w=100),
        vehicle(soc_percent=30.5, charge_limit_w=0),
    ],
)
def test_who_permits_or_can_move_nothing_is_not_asked(held: ResourceState | None) -> None:
    with pytest.raises(ProofNotPossible):
        asyncio.run(prover(Cable(), Resource(held=held)).ask(SITE, "appeal", "operator-1"))


@pytest.mark.parametrize(
    ("questioned", "blocked", "proves"),
    [
        ([], [], "first"),
        (["second"], [], "second"),
        (["gone", "second", "first"], [], "second"),
        (["first"], ["first"], "second"),  # its own word is doubted
        ([], ["first", "second"], None),
    ],
)
def test_the_cable_in_question_proves_and_none_that_is_blocked_itself(
    questioned: list[str], blocked: list[str], proves: str | None
) -> None:
    cables = [Cable(device_id="first"), Cable(device_id="second")]
    resources = [Resource(held=vehicle(), cable_id=each.device_id) for each in cables]
    blocks = [block(BlockCause.METER_MISMATCH)]
    blocks += [block(BlockCause.LOCATION_MISMATCH, cable_id) for cable_id in blocked]
    proving = prover(cables, resources, blocks=blocks, proofs=Proofs(questioned=questioned))
    if proves is None:
        with pytest.raises(ProofNotPossible):
            asyncio.run(proving.ask(SITE, "appeal", "operator-1"))
        return
    assert asyncio.run(proving.ask(SITE, "appeal", "operator-1"))[1] == proves
    assert [each.device_id for each in cables if each.asked] == [proves]


@pytest.mark.parametrize("empty", [vehicle(soc_percent=30.0, charge_limit_w=0), None])
def test_a_cable_whose_vehicle_can_move_nothing_leaves_it_to_another(
    empty: ResourceState | None,
) -> None:
    cables = [Cable(device_id="first"), Cable(device_id="second")]
    resources = [
        Resource(held=empty, cable_id="first"),
        Resource(held=vehicle(), cable_id="second"),
    ]
    proving = prover(cables, resources, proofs=Proofs(questioned=["first"]))
    assert asyncio.run(proving.ask(SITE, "appeal", "operator-1"))[1] == "second"


@pytest.mark.parametrize(
    ("blocks", "overloaded"),
    [(["OPERATOR"], False), (["METER_MISMATCH", "LOCATION_MISMATCH"], False), ([], True)],
)
def test_no_pattern_is_asked_where_other_limits_hold(blocks: list[str], overloaded: bool) -> None:
    held = [block(BlockCause(cause)) for cause in blocks]
    proving = prover(
        Cable(),
        Resource(held=vehicle()),
        blocks=held,
        loadings=[OVERLOADED] if overloaded else [],
    )
    with pytest.raises(ProofNotPossible):
        asyncio.run(proving.ask(SITE, "appeal", "operator-1"))


@pytest.mark.parametrize(
    ("checked", "every_s"),
    [
        (CheckedSite(site_id=SITE, match=None, blocks=(), suspect=True), 1800),
        (CheckedSite(site_id=SITE, match=None, blocks=(), suspect=False, appealable=True), 14_400),
    ],
)
def test_a_blocked_site_is_asked_as_seldom_as_one_that_is_believed(
    checked: CheckedSite, every_s: int
) -> None:
    proofs = Proofs()
    asyncio.run(prover(Cable(), Resource(held=None), proofs=proofs).suspected(checked))
    assert proofs.looked_since_s == [(int(NOW_S) - 14_400, int(NOW_S) - every_s)]


def test_how_soon_a_suspected_site_is_asked_again_is_a_setting() -> None:
    match = MatchSettings(proof_again_s=7_200, proof_repeat_s=600)
    settings = ManagerSettings.model_construct(match=match, session=SessionSettings())
    proofs, site = Proofs(), CheckedSite(site_id=SITE, match=None, blocks=(), suspect=True)

    async def scenario() -> None:
        policy = proof_policy(settings)
        await prover(Cable(), Resource(held=None), proofs=proofs, policy=policy).suspected(site)

    asyncio.run(scenario())
    assert proofs.looked_since_s == [(int(NOW_S) - 7_200, int(NOW_S) - 600)]
    assert MatchSettings().proof_repeat_s == ProofPolicy().repeat_s


def block(cause: BlockCause, cable_id: str = "") -> SiteBlock:
    return SiteBlock(
        site_id=SITE,
        cable_id=cable_id,
        permission=Permission.NONE,
        cause=cause,
        reason="why",
        create_s=0,
        created_by="manager",
    )


class Rules:
    """What limits the site."""

    def __init__(self, blocks: Sequence[SiteBlock], loadings: Sequence[AssetLoading]) -> None:
        self._found = SiteSituation(blocks={SITE: blocks}, loadings={SITE: loadings})

    async def situation(self, site_ids: Sequence[str]) -> SiteSituation:
        return self._found


def permits(
    blocks: Sequence[SiteBlock], loadings: Sequence[AssetLoading], cables: Sequence[Cable] = ()
) -> Permits:
    async def sleep(_seconds: float) -> None:
        await asyncio.Event().wait()

    return Permits(
        rules=Rules(blocks, loadings),
        policy=PermissionPolicy(),
        leases=LeasePolicy(),
        now=lambda: NOW_S,
        sleep=sleep,
        sessions=lambda: cables,
    )


OVERLOADED = AssetLoading(asset_id="transformer", loading_percent=-120.0, measured_s=NOW_S)


@pytest.mark.parametrize(
    ("causes", "loadings", "proving", "permission", "reason"),
    [
        ([BlockCause.METER_MISMATCH], [], False, Permission.NONE, "METER_MISMATCH"),
        ([BlockCause.METER_MISMATCH], [], True, Permission.BIDIRECTIONAL, ACTIVE_PROOF),
        ([BlockCause.PROOF_FAILED], [], True, Permission.BIDIRECTIONAL, ACTIVE_PROOF),
        ([BlockCause.OPERATOR], [], True, Permission.NONE, "OPERATOR"),
        ([BlockCause.LOCATION_MISMATCH], [], True, Permission.NONE, "LOCATION_MISMATCH"),
        ([], [OVERLOADED], True, Permission.CHARGE_ONLY, "EQUIPMENT_LIMIT"),
        ([], [], True, Permission.BIDIRECTIONAL, ACTIVE_PROOF),
    ],
)
def test_a_cable_that_reconnects_is_told_at_once_what_holds(
    causes: list[BlockCause],
    loadings: list[AssetLoading],
    proving: bool,
    permission: Permission,
    reason: str,
) -> None:
    async def scenario() -> None:
        found = permits([block(cause) for cause in causes], loadings)
        directive, granted = await found.grant(Cable(proving=proving))
        assert (granted.permission, granted.reason) == (permission, reason)
        assert directive.permission is permission
        assert directive.expire_s == NOW_S + 90.0

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("blocked", "permission"),
    [("", Permission.NONE), ("cable-1", Permission.NONE), ("thief", Permission.BIDIRECTIONAL)],
)
def test_a_block_of_a_cable_limits_that_cable_alone(blocked: str, permission: Permission) -> None:
    async def scenario() -> None:
        found = permits([block(BlockCause.LOCATION_MISMATCH, blocked)], [])
        _, granted = await found.grant(Cable(device_id="cable-1"))
        assert granted.permission is permission

    asyncio.run(scenario())
