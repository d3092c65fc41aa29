"""Who may call what: one table, and nothing that is not in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from gridcord.chassis.identity import Kind, Principal, Role

Grantee = Kind | Role

ADMINS: Final = frozenset[Grantee]({Role.ADMIN})
OPERATORS: Final = frozenset[Grantee]({Role.OPERATOR, Role.ADMIN})
VIEWERS: Final = frozenset[Grantee]({Role.VIEWER, Role.OPERATOR, Role.ADMIN})
ANYBODY: Final = frozenset[Grantee](set(Kind) - {Kind.OPERATOR}) | VIEWERS


class PolicyError(ValueError):
    """A policy contradicts itself or the services it is for."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Grants per method; whatever is not granted is refused.

    Args:
        grants: Full method ("/package.Service/Method") -> kinds of peers and roles of operators.

    Raises:
        PolicyError: A name is no full method, or operators are granted something whatever their
            role (name the roles: `VIEWERS`, `OPERATORS`, `ADMINS`).
    """

    grants: Mapping[str, frozenset[Grantee]]

    def __post_init__(self) -> None:
        for method, grantees in self.grants.items():
            if method.count("/") != 2 or not method.startswith("/"):
                message = f"no full method such as '/package.Service/Method': {method!r}"
                raise PolicyError(message)
            if Kind.OPERATOR in grantees:
                message = f"{method}: grant roles of operators, not all operators"
                raise PolicyError(message)

    def permits(self, principal: Principal, method: str) -> bool:
        """Whether `principal` may call `method`."""
        return (principal.role or principal.kind) in self.grants.get(method, frozenset())

    def __or__(self, other: Policy) -> Policy:
        """Both policies; each method must be in one of them only."""
        if twice := self.grants.keys() & other.grants.keys():
            message = f"granted twice: {sorted(twice)}"
            raise PolicyError(message)
        return Policy({**self.grants, **other.grants})

    def without_policy(self, services: Iterable[ServiceDescriptor]) -> list[str]:
        """Methods of `services` that nobody decided about; a release has none."""
        return sorted(set(methods_of(services)) - self.grants.keys())

    def without_method(self, services: Iterable[ServiceDescriptor]) -> list[str]:
        """Grants for methods that `services` do not have: misspelt or left over."""
        return sorted(self.grants.keys() - set(methods_of(services)))


def methods_of(services: Iterable[ServiceDescriptor]) -> Iterator[str]:
    """The full methods of services."""
    for service in services:
        for method in service.methods:
            yield f"/{service.full_name}/{method.name}"


def services_of(*files: FileDescriptor) -> list[ServiceDescriptor]:
    """The services that proto files declare: `services_of(a_pb2.DESCRIPTOR, ...)`."""
    return [service for file in files for service in file.services_by_name.values()]
