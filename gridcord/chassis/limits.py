"""What a hostile or broken peer can cost at most: options of gRPC's core.

The core ignores an unknown option without a word, so each one's effect is tested over a real
connection (`tests/integration/chassis`), not its presence.
"""

from __future__ import annotations

from dataclasses import dataclass

Options = list[tuple[str, int | str]]

MAX_MESSAGE_TO_SERVER_BYTES = 64 * 1024
MAX_MESSAGE_TO_CLIENT_BYTES = 256 * 1024
MAX_METADATA_BYTES = 8 * 1024


# An unread stream holds 64 KiB at most; probing the bandwidth would let that grow.
_FIXED_LOOK_AHEAD = ("grpc.http2.bdp_probe", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits of one server. Times in seconds, sizes in bytes.

    Args:
        concurrent_streams: Per connection; without it one connection that opens and resets
            streams as fast as it can (CVE-2023-44487) spoils every other one.
        connections: Of the whole server; a stranger who fills them keeps others out, so a
            firewall should limit them per source first.
        concurrent_calls: Of the whole server; more are answered RESOURCE_EXHAUSTED.
        pending_calls: Accepted by the core and not yet taken by Python. The core's own default
            refuses a quarter of 10,000 peers that reconnect at once.
        pending_s: How long they may wait there; whole seconds.
        message_bytes: Of one request.
        response_bytes: Of one response.
        metadata_bytes: Of one request.
        handshake_s: For TLS, the preface and the peer's SETTINGS.
        settings_s: For the peer's acknowledgement of our SETTINGS.
        idle_s: A connection without calls is closed after it.
        age_s: A connection is closed gently after it: peers spread over new replicas and present
            a fresh certificate.
        age_grace_s: For calls still open then.
        keepalive_s: After this silence the server asks whether anybody is there.
        keepalive_timeout_s: Without an answer in this time the connection is gone.
        min_ping_interval_s: A peer that asks us more often is sent away.
        share_port: Let other processes listen on the same port, one worker per core. Off, a
            second server on the port fails at once instead of taking half the connections.
    """

    concurrent_streams: int = 16
    connections: int = 20_000
    concurrent_calls: int = 25_000
    pending_calls: int = 30_000
    pending_s: float = 600
    message_bytes: int = MAX_MESSAGE_TO_SERVER_BYTES
    response_bytes: int = MAX_MESSAGE_TO_CLIENT_BYTES
    metadata_bytes: int = MAX_METADATA_BYTES
    handshake_s: float = 5
    settings_s: float = 5
    idle_s: float = 60
    age_s: float = 3600
    age_grace_s: float = 30
    keepalive_s: float = 20
    keepalive_timeout_s: float = 10
    min_ping_interval_s: float = 10
    share_port: bool = False

    def options(self) -> Options:
        """The options of `grpc.aio.server`."""
        return [
            ("grpc.so_reuseport", int(self.share_port)),
            ("grpc.max_concurrent_streams", self.concurrent_streams),
            ("grpc.max_allowed_incoming_connections", self.connections),
            ("grpc.server.max_pending_requests", self.pending_calls),
            ("grpc.server.max_pending_requests_hard_limit", self.pending_calls),
            ("grpc.server_max_unrequested_time_in_server", round(self.pending_s)),
            ("grpc.max_receive_message_length", self.message_bytes),
            ("grpc.max_send_message_length", self.response_bytes),
            ("grpc.absolute_max_metadata_size", self.metadata_bytes),
            ("grpc.server_handshake_timeout_ms", _ms(self.handshake_s)),
            ("grpc.http2.settings_timeout", _ms(self.settings_s)),
            ("grpc.max_connection_idle_ms", _ms(self.idle_s)),
            ("grpc.max_connection_age_ms", _ms(self.age_s)),
            ("grpc.max_connection_age_grace_ms", _ms(self.age_grace_s)),
            ("grpc.keepalive_time_ms", _ms(self.keepalive_s)),
            *_keepalive_timeout(self.keepalive_timeout_s),
            ("grpc.http2.min_ping_interval_without_data_ms", _ms(self.min_ping_interval_s)),
            _FIXED_LOOK_AHEAD,
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLimits:
    """Limits of one client channel. Times in seconds, sizes in bytes.

    Args:
        message_bytes: Of one response.
        request_bytes: Of one request.
        keepalive_s: As in `ServerLimits`, longer than the server's `min_ping_interval_s`.
        keepalive_timeout_s: As in `ServerLimits`.
        first_backoff_s: Pause before the core's second attempt to connect.
        longest_backoff_s: The pause doubles up to this.
    """

    message_bytes: int = MAX_MESSAGE_TO_CLIENT_BYTES
    request_bytes: int = MAX_MESSAGE_TO_SERVER_BYTES
    keepalive_s: float = 20
    keepalive_timeout_s: float = 10
    first_backoff_s: float = 1
    longest_backoff_s: float = 120

    def options(self) -> Options:
        """The options of a channel."""
        return [
            ("grpc.max_receive_message_length", self.message_bytes),
            ("grpc.max_send_message_length", self.request_bytes),
            ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
            ("grpc.keepalive_time_ms", _ms(self.keepalive_s)),
            *_keepalive_timeout(self.keepalive_timeout_s),
            ("grpc.http2.max_pings_without_data", 0),  # 0: as many as needed on a silent stream
            ("grpc.initial_reconnect_backoff_ms", _ms(self.first_backoff_s)),
            ("grpc.max_reconnect_backoff_ms", _ms(self.longest_backoff_s)),
            ("grpc.enable_http_proxy", 0),  # an environment variable must not reroute meter data
            _FIXED_LOOK_AHEAD,
        ]


SERVER_LIMITS = ServerLimits()
CHANNEL_LIMITS = ChannelLimits()


def _keepalive_timeout(timeout_s: float) -> Options:
    """Two names: the kernel's patience with a cut link, and the core's with a frozen process.

    A frozen process's kernel still acknowledges what we send; without the second option it is
    found after a minute at the earliest.
    """
    return [
        ("grpc.keepalive_timeout_ms", _ms(timeout_s)),
        ("grpc.http2.ping_timeout_ms", _ms(timeout_s)),
    ]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
