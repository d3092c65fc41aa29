"""`gridcord cable`: what a cable says of itself, on its own machine."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer

from gridcord.api.cable.v1 import cable_service_pb2 as pb
from gridcord.api.cable.v1.cable_service_pb2_grpc import CableServiceStub
from gridcord.api.types.v1 import types_pb2
from gridcord.chassis.channel import open_local_channel
from gridcord.cli.connection import refusal
from gridcord.cli.ending import CommandError
from gridcord.cli.tables import AsJson, print_facts
from gridcord.wire.values import time_to_proto

app = typer.Typer(help="What a cable says of itself, on its own machine.", no_args_is_help=True)

Socket = Annotated[
    Path, typer.Option("--socket", help="Socket of the cable node: local.socket of its settings.")
]


@app.command()
def status(socket: Socket, as_json: AsJson = False) -> None:
    """Say what a cable does now, which instruments answer, and its last matches."""
    print_facts(_ask(socket, lambda stub: stub.GetStatus(pb.GetStatusRequest())), as_json=as_json)


@app.command()
def loading(
    socket: Socket,
    asset: Annotated[str, typer.Option(metavar="ID", help="Transformer or substation.")],
    percent: Annotated[
        float, typer.Option(help="Of its rating; negative when power flows to the grid.")
    ],
    as_json: AsJson = False,
) -> None:
    """Tell a cable the loading of the equipment that feeds its site, as a HEMS does."""
    if not math.isfinite(percent):
        message = f"--percent: {percent} is no loading"
        raise CommandError(message)
    told = types_pb2.AssetLoading(
        asset_id=asset, loading_percent=percent, measure_time=time_to_proto(time.time())
    )
    request = pb.ReportAssetLoadingRequest(asset_loading=told)
    print_facts(_ask(socket, lambda stub: stub.ReportAssetLoading(request)), as_json=as_json)


def _ask(socket: Path, call: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    if not socket.is_socket():
        message = f"{socket} is no socket: does the cable node run, and is it its local.socket?"
        raise CommandError(message)
    path = str(socket.absolute())

    async def scenario() -> Any:
        async with open_local_channel(path) as channel:
            return await call(CableServiceStub(channel))

    try:
        return asyncio.run(scenario())
    except grpc.aio.AioRpcError as error:
        raise refusal(error, f"the cable node at {socket}") from error
