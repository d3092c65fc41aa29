"""The policy: default deny, and nothing forgotten."""

from __future__ import annotations

import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from gridcord.chassis.authorization import (
    ADMINS,
    ANYBODY,
    OPERATORS,
    VIEWERS,
    Grantee,
    Policy,
    PolicyError,
    methods_of,
    services_of,
)
from gridcord.chassis.identity import Kind, Principal, Role, parse_principal
from gridcord.chassis.server import HEALTH_POLICY, REFLECTION_POLICY

METHOD = "/a.B/C"

PATHS: dict[Grantee, str] = {
    **{kind: kind.value for kind in Kind if kind is not Kind.OPERATOR},
    **{role: f"operator/{role.value}" for role in Role},
}
PRINCIPALS = {grantee: parse_principal(f"spiffe://g/{path}/x") for grantee, path in PATHS.items()}


@pytest.mark.parametrize(
    "grantees",
    [
        frozenset[Grantee](),
        frozenset[Grantee]({Kind.CABLE}),
        frozenset[Grantee]({Kind.MARKET, Role.ADMIN}),
        ADMINS,
        OPERATORS,
        VIEWERS,
        ANYBODY,
    ],
)
def test_exactly_those_granted_are_permitted(grantees: frozenset[Grantee]) -> None:
    policy = Policy({METHOD: grantees})

    permitted = {g for g, principal in PRINCIPALS.items() if policy.permits(principal, METHOD)}

    assert permitted == grantees


@pytest.mark.parametrize("principal", PRINCIPALS.values(), ids=str)
@pytest.mark.parametrize("method", ["/a.B/D", "/a.b/C", "/a.B/C/", "a.B/C", ""])
def test_what_nobody_decided_about_is_denied(principal: Principal, method: str) -> None:
    assert not Policy({METHOD: ANYBODY}).permits(principal, method)


def test_more_powerful_roles_may_what_lesser_ones_may() -> None:
    assert ADMINS < OPERATORS < VIEWERS < ANYBODY
    assert set(ANYBODY) == set(PRINCIPALS)


def test_all_operators_at_once_is_no_grant() -> None:
    with pytest.raises(PolicyError, match="roles"):
        Policy({METHOD: frozenset({Kind.OPERATOR})})


@pytest.mark.parametrize("method", ["a.B/C", "/a.B", "/a.B/C/D", ""])
def test_a_grant_names_a_full_method(method: str) -> None:
    with pytest.raises(PolicyError, match="full method"):
        Policy({method: ANYBODY})


def test_policies_add_up_and_do_not_overlap() -> None:
    both = Policy({METHOD: ADMINS}) | Policy({"/a.B/D": ANYBODY})

    assert both.grants == {METHOD: ADMINS, "/a.B/D": ANYBODY}
    with pytest.raises(PolicyError, match="twice"):
        both | Policy({METHOD: ANYBODY})


def test_the_enumerator_finds_what_was_forgotten_and_what_is_left_over() -> None:
    services = services_of(health_pb2.DESCRIPTOR)
    half = Policy({"/grpc.health.v1.Health/Check": ANYBODY, "/grpc.health.v1.Health/Chekc": ADMINS})

    assert "/grpc.health.v1.Health/Watch" in half.without_policy(services)
    assert "/grpc.health.v1.Health/Check" not in half.without_policy(services)
    assert half.without_method(services) == ["/grpc.health.v1.Health/Chekc"]


@pytest.mark.parametrize(
    ("policy", "descriptor"),
    [
        (HEALTH_POLICY, health_pb2.DESCRIPTOR),
        (REFLECTION_POLICY, reflection_pb2.DESCRIPTOR),
    ],
)
def test_our_own_services_are_decided_about(policy: Policy, descriptor: object) -> None:
    services = services_of(descriptor)  # type: ignore[arg-type]

    assert list(methods_of(services))
    assert policy.without_policy(services) == []
    assert policy.without_method(services) == []
