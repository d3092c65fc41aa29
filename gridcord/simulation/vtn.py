"""A small VTN of OpenADR 3.1: enough of the API for a VEN to live with, in memory.

Programs, events, VENs and reports; OAuth2 client credentials with the scopes of the two kinds of
clients; pages; filters; problems as the specification says them. It is a double for tests and
demonstrations, not a server for customers.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from gridcord.chassis.clock import Clock
from gridcord.units import Period

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MOST_IN_A_PAGE = 50
_TOKEN_LASTS_S = 3600
_VEN = frozenset({"read_targets", "read_ven_objects", "write_reports", "write_vens"})
_BUSINESS = frozenset({"read_bl", "write_programs", "write_events", "write_vens"}) | _VEN


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object.

    Args:
        object_type: Its `objectType`.
        required: Keys that a client must give.
        unique: The key that no two objects share; None for none.
        filters: Query parameters that must equal a key of the object.
        read: Scope needed to read.
        write: Scope needed to write.
    """

    object_type: str
    required: tuple[str, ...]
    unique: str | None
    filters: tuple[str, ...]
    read: str
    write: str


KINDS: Mapping[str, Kind] = {
    "programs": Kind(
        "PROGRAM", ("programName",), "programName", (), "read_targets", "write_programs"
    ),
    "events": Kind("EVENT", ("programID",), None, ("programID",), "read_targets", "write_events"),
    "vens": Kind(
        "VEN", ("venName", "objectType"), "venName", ("venName",), "read_ven_objects", "write_vens"
    ),
    "reports": Kind(
        "REPORT",
        ("eventID", "clientName", "resources"),
        None,
        ("programID", "eventID", "clientName"),
        "read_ven_objects",
        "write_reports",
    ),
}


class _Problem(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title


@dataclass(slots=True)
class Vtn:
    """The VTN.

    Args:
        clock: Time of its objects' stamps.
        clients: Client id -> secret; those whose id starts with "bl" may write events.
    """

    clock: Clock
    clients: Mapping[str, str]
    url: str = ""
    objects: dict[str, dict[str, Json]] = field(
        default_factory=lambda: {name: {} for name in KINDS}
    )
    middlewares: Sequence[Any] = ()
    _tokens: dict[str, str] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a port of the loopback that the system chooses; `url` says which."""
        app = web.Application(middlewares=[*self.middlewares, _problems])
        app.router.add_get("/auth/server", self._auth_server)
        app.router.add_post("/auth/token", self._token)
        for name in KINDS:
            app.router.add_get(f"/{name}", self._search)
            app.router.add_post(f"/{name}", self._create)
            for method in ("GET", "PUT", "DELETE"):
                app.router.add_route(method, f"/{name}/{{id}}", self._one)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Close every socket."""
        if self._runner is not None:
            await self._runner.cleanup()

    def put(self, name: str, body: Mapping[str, Any], *, client: str = "bl") -> str:
        """Have an object, as a client's POST would; returns its id."""
        kind = KINDS[name]
        now = datetime.fromtimestamp(self.clock.now(), UTC).isoformat().replace("+00:00", "Z")
        number = f"{kind.object_type.lower()}-{next(self._numbers)}"
        stored = {
            **body,
            "id": number,
            "createdDateTime": now,
            "modificationDateTime": now,
            "objectType": kind.object_type,
        }
        if name == "vens":
            stored["clientID"] = client
        if name == "reports":
            stored["clientID"] = client
        self.objects[name][number] = stored
        return number

    def expire_tokens(self) -> None:
        """Let every token run out."""
        self._tokens.clear()

    async def _auth_server(self, _request: web.Request) -> web.Response:
        return web.json_response({"tokenURL": f"{self.url}/auth/token"})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        client = str(form.get("client_id", ""))
        if form.get("grant_type") != "client_credentials":
            raise _Problem(400, "unsupported_grant_type")
        if not client or self.clients.get(client) != form.get("client_secret"):
            raise _Problem(401, "invalid_client")
        token = secrets.token_urlsafe(24)
        self._tokens[token] = client
        return web.json_response(
            {"access_token": token, "token_type": "Bearer", "expires_in": _TOKEN_LASTS_S}
        )

    async def _search(self, request: web.Request) -> web.Response:
        name = request.path.strip("/")
        kind = KINDS[name]
        self._client(request, kind.read)
        query = request.query
        unknown = set(query) - {"skip", "limit", "targets", "active", *kind.filters}
        if unknown:
            raise _Problem(400, f"unknown parameters: {sorted(unknown)}")
        found = [
            stored
            for stored in self.objects[name].values()
            if all(stored.get(key) == query[key] for key in kind.filters if key in query)
        ]
        skip, limit = _page(query)
        return web.json_response(found[skip : skip + limit])

    async def _create(self, request: web.Request) -> web.Response:
        name = request.path.strip("/")
        kind = KINDS[name]
        client = self._client(request, kind.write)
        body = await _body(request, kind)
        if kind.unique and any(
            stored[kind.unique] == body[kind.unique] for stored in self.objects[name].values()
        ):
            raise _Problem(409, f"{kind.unique} is taken")
        number = self.put(name, body, client=client)
        return web.json_response(self.objects[name][number], status=201)

    async def _one(self, request: web.Request) -> web.Response:
        name, number = request.path.strip("/").split("/")
        kind = KINDS[name]
        self._client(request, kind.read if request.method == "GET" else kind.write)
        stored = self.objects[name].get(number)
        if stored is None:
            raise _Problem(404, f"no {kind.object_type} {number}")
        if request.method == "PUT":
            stored |= await _body(request, kind)
        elif request.method == "DELETE":
            del self.objects[name][number]
        return web.json_response(stored)

    def _client(self, request: web.Request, scope: str) -> str:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        client = self._tokens.get(token)
        if client is None:
            raise _Problem(401, "no valid token")
        if scope not in (_BUSINESS if client.startswith("bl") else _VEN):
            raise _Problem(403, f"{client} lacks {scope}")
        return client


def setpoint_event(
    *, program_id: str, first: Period, kilowatts: Sequence[float], priority: int = 0
) -> Json:
    """An event that asks for a change of consumption in consecutive periods.

    Args:
        program_id: Its program.
        first: The first period.
        kilowatts: One value per period: + more consumption, - less. Sent as CONTROL_SETPOINT,
            because the schema bounds DISPATCH_SETPOINT at 0.
        priority: 0 is the highest.
    """
    return {
        "programID": program_id,
        "eventName": "change of consumption",
        "priority": priority,
        "payloadDescriptors": [
            {
                "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
                "payloadType": "CONTROL_SETPOINT",
                "units": "KW",
            }
        ],
        "intervalPeriod": {"start": str(first), "duration": f"PT{first.length_s}S"},
        "intervals": [
            {"id": number, "payloads": [{"type": "CONTROL_SETPOINT", "values": [value]}]}
            for number, value in enumerate(kilowatts)
        ],
    }


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except _Problem as problem:
        body = {"type": "about:blank", "title": problem.title, "status": problem.status}
        return web.json_response(body, status=problem.status)


def _page(query: Mapping[str, str]) -> tuple[int, int]:
    try:
        skip, limit = int(query.get("skip", 0)), int(query.get("limit", _MOST_IN_A_PAGE))
    except ValueError:
        raise _Problem(400, "skip and limit are numbers") from None
    if skip < 0 or not 0 <= limit <= _MOST_IN_A_PAGE:
        raise _Problem(400, f"a page starts at 0 or later and holds at most {_MOST_IN_A_PAGE}")
    return skip, limit


async def _body(request: web.Request, kind: Kind) -> Json:
    try:
        body = await request.json()
    except ValueError:
        raise _Problem(400, "the body is no JSON") from None
    if not isinstance(body, dict) or any(key not in body for key in kind.required):
        raise _Problem(400, f"the body lacks one of {', '.join(kind.required)}")
    return body
