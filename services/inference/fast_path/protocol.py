"""A connection: uvicorn's protocol, with requests for predictions answered as their bytes arrive.

1. While an answer is due, or a request is in the ordinary path, further bytes wait or go there: answers keep their order.
2. A header block that is known (`HeaderLayouts`) and a complete body are a request; `HotRequests` takes it or not. Long bodies
   that arrive together are read in slices (`ReadingSlices`).
3. Everything else is fed to uvicorn's parser, byte for byte, and becomes an ASGI request: also the header blocks that are new,
   slow bodies, and requests that turn out to be wrong.
4. A liveness probe whose bytes are known (`LivenessProbes`) is answered at once: a supervisor would restart a busy server.
5. Who sent a request is known from its header block (`Admission`): one whose credentials permit no predictions, or no more this
   second, is fed to the parser, too. The ordinary path refuses it.
6. When the server stops, what arrives is answered with `Connection: close`; a connection is closed once it has been quiet.

uvicorn's timers per request are replaced by one sweep over all connections, which also closes those whose headers do not come:
uvicorn waits for them for ever. It also closes those that send the body of a refused request too slowly.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.inference.fast_path.header_layout import HeaderLayout, RequestHead, is_plain_post
from services.inference.fast_path.header_size import LARGE_HEADERS, SLOW_HEADERS, HeaderLimit, abort, refuse
from services.inference.fast_path.hot_requests import SWEEPS, HotRequests
from services.inference.fast_path.liveness_probes import LIVE
from services.inference.fast_path.reading_slices import LONG_BYTES
from services.inference.fast_path.reply import Reply
from shared.http.connections import CLOSE, stop_answering

STATE = "homeostat_hot_requests"  # where the lifespan state has the HotRequests
_QUIET_SECONDS = 0.1


class FastProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with a fast path."""

    connected_at = 0.0  # when the TLS handshake began, which is part of the headers' time; 0 without TLS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._hot: HotRequests | None = self.app_state.get(STATE)
        self._layout: HeaderLayout | None = None
        self._head: RequestHead | None = None  # of the last request
        self._between_messages = True
        self._learning = b""
        self._request = b""  # the request that is being answered
        self._waiting = bytearray()  # bytes after it
        self._partial = bytearray()
        self._expected_bytes = 0
        self._partial_until = 0.0
        self._reserved = 0
        self._idle_since = 0.0
        self._headers_until = 0.0  # 0: none are due
        self._unread_until = 0.0  # of a body whose request is answered; 0: there is none
        self._takes_anonymous = False
        self._header_limit = HeaderLimit()
        self._draining = False
        self._quiet: asyncio.TimerHandle | None = None
        self._unanswered: list[
            Any
        ] = []  # cycles of the ordinary path: the one that is answered, then those that wait

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Also a connection that was accepted just before the server stops is closed."""
        super().connection_made(transport)
        if self._hot is not None:
            self._hot.add(self)
            self._takes_anonymous = self._hot.admission.without_credentials(self.server)
            self._headers_until = (self.connected_at or self.loop.time()) + self._hot.receive_seconds
            if self._hot.draining:
                self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what is unfinished; an answer that is due is still logged."""
        self._drop_partial()
        self._cancel_quiet()
        self._stop_answering()
        if self._hot is not None:
            self._hot.connections.pop(self, None)
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """The client sends nothing more: the transport closes, and an answer that is due cannot be written."""
        self._stop_answering()

    def send_400_response(self, msg: str) -> None:
        """Answer malformed bytes, also where the application answers the request that they belong to."""
        self._stop_answering()
        super().send_400_response(msg)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._hot is None:
            super().data_received(data)
            return
        if self._quiet is not None:
            self._cancel_quiet()
        if self._request:
            self._waiting += data
            if len(self._waiting) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
        elif self._expected_bytes:
            self._partial += data
            if len(self._partial) >= self._expected_bytes:
                self._take_partial()
        elif (
            not self._between_messages
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.flow.write_paused
            or not self._take(data)
        ):
            self._learning = data if self._between_messages else b""
            super().data_received(data)
            self._learning = b""
            due = self._headers_until > 0 and not self._between_messages
            if self._header_limit.is_exceeded(len(data), due=due):
                refuse(self.transport, LARGE_HEADERS)
        if self._draining:
            self._close_when_quiet()

    def sweep(self, now: float) -> None:
        """Close the connection if it has been idle, or its headers have been due, for too long.

        A body that comes slowly gets the ordinary deadline. One whose key is not valid any more is refused there.
        """
        if self._expected_bytes and (now > self._partial_until or not self._is_permitted()):
            data = bytes(self._partial)
            self._drop_partial()
            super().data_received(data)
        elif self._idle_since and now - self._idle_since > self.timeout_keep_alive and self._is_idle():
            self.timeout_keep_alive_handler()
        elif self._headers_until and now > self._headers_until and not self._is_answering():
            if not self._between_messages and not self.transport.is_closing():
                self.transport.write(SLOW_HEADERS)
            self.transport.close()
        elif self._unread_until and now > self._unread_until and not self._is_answering():
            self.transport.close()

    def give_way(self) -> bool:
        """Close the connection if headers are due, of its first request or of one that has begun; whether it was closed."""
        return self._headers_until > 0 and not self._is_answering() and abort(self.transport)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, but first read what has arrived: after a standstill of the process, timers come first.

        A request that was answered before its body came, with 408, is not waited for.
        """
        if self._hot is None:
            super().timeout_keep_alive_handler()
        elif self._is_idle():
            self._close_when_quiet()
        elif not self._expected_bytes and not self._is_answering():
            self.transport.close()

    def shutdown(self) -> None:
        """The server stops: answer what is there, then close."""
        if self._hot is None:
            super().shutdown()
            return
        self._draining = self._hot.draining = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self._close_when_quiet()

    # Of uvicorn's parser

    def on_message_begin(self) -> None:
        """A request starts."""
        self._between_messages = False
        if self._hot is not None and not self._headers_until:
            self._headers_until = self.loop.time() + self._hot.receive_seconds
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The header block is parsed: it can be known from now on."""
        self._headers_until = 0.0
        data, self._learning = self._learning, b""
        if data and self._hot is not None:
            if is_plain_post(self.parser):
                learned = self._hot.learn(data, self.url, self.headers, anonymous=self._takes_anonymous)
                self._layout = learned or self._layout
            else:
                self._hot.probes.learn(data, self.url, self.headers, self.parser)
        super().on_headers_complete()
        self._unanswered = [cycle for cycle in self._unanswered if not cycle.response_complete]
        self._unanswered.append(self.cycle)
        if self._draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._between_messages = True
        self._unread_until = 0.0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The ordinary path has answered."""
        super().on_response_complete()
        if self._hot is not None and not self._between_messages:
            self._unread_until = self.loop.time() + self._hot.receive_seconds
        if self._draining:
            self._close_when_quiet()

    # The fast path

    def _take(self, data: bytes) -> bool:
        """Answer the request at the start of `data`, or start to collect its body; False: it is one for the parser."""
        hot = cast(HotRequests, self._hot)
        head = self._head
        if head is None or not data.startswith(head.block):
            if data.startswith(b"GET /"):
                return self._take_probe(data)
            head = self._find_head(data)
            if head is None:
                return False
            self._head = head
        self._headers_until = 0.0
        start, length = len(head.block), head.body_bytes
        if length > hot.maximum_body_bytes:
            return False
        end = start + length
        if len(data) < end:
            if not self._is_permitted():  # nothing is reserved for it
                return False
            if hot.buffered + length > hot.maximum_buffered_bytes:
                return False
            hot.buffered += length
            self._reserved = length
            self._partial += data
            self._expected_bytes = end
            self._partial_until = self.loop.time() + hot.receive_seconds / SWEEPS
            return True
        if head.grant is not None and not head.grant.take():
            return False
        if len(data) > end:
            self._waiting += data[end:]
            data = data[:end]
        self._request = data
        if length > LONG_BYTES:
            hot.reading.submit(self._submit)
        else:
            self._submit()
        return True

    def _submit(self) -> None:
        """Let the request be read and answered."""
        hot, head, data = cast(HotRequests, self._hot), cast(RequestHead, self._head), self._request
        if self.transport.is_closing():  # since it was put aside: nobody receives an answer
            self._request = b""
            return
        start = len(head.block)
        end = start + head.body_bytes
        if head.model is not None:
            taken = hot.submit_infer(head.model, data, start, end, head.head_bytes, self._answer)
        else:
            taken = head.head_bytes is None and hot.submit_predict(data, start, end, self._answer)
        if taken:
            self._end_idle_time()
        else:
            self._answer(None)

    def _take_probe(self, data: bytes) -> bool:
        """Answer the liveness probe `data`; False: it is for the parser."""
        closes = cast(HotRequests, self._hot).probes.find(data)
        if closes is None:
            return False
        self._headers_until = 0.0
        self._end_idle_time()
        self._answer(LIVE, closes=closes)
        return True

    def _end_idle_time(self) -> None:
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self._idle_since = 0.0

    def _find_head(self, data: bytes) -> RequestHead | None:
        head = self._layout.read(data) if self._layout is not None else None
        if head is None:
            layout = cast(HotRequests, self._hot).layouts.find(data)
            if layout is None:
                return None
            self._layout, head = layout, layout.read(data)
        # Another connection may have learned the layout, to an address where credentials are not needed.
        if head is not None and head.grant is None and not self._takes_anonymous:
            return None
        return head

    def _is_permitted(self) -> bool:
        return self._head is None or self._head.grant is None or self._head.grant.is_valid()

    def _take_partial(self) -> None:
        data = self._partial
        self._drop_partial()
        self.data_received(data)  # type: ignore[arg-type]  # uvicorn's parser takes any bytes

    def _drop_partial(self) -> None:
        if self._expected_bytes:
            cast(HotRequests, self._hot).buffered -= self._reserved
            self._expected_bytes = self._reserved = 0
            self._partial = bytearray()

    def _answer(self, reply: Reply | None, *, closes: bool = False) -> None:
        """Send the reply, or feed the request to the parser; then go on with what came after it. `closes`: the connection."""
        request, self._request = self._request, b""
        if reply is None and self._head is not None and self._head.grant is not None:
            self._head.grant.give_back()  # the ordinary path counts it
        transport = self.transport
        if transport.is_closing():
            return
        if reply is None:
            self._learning = b""
            super().data_received(request)
        else:
            self.server_state.total_requests += 1
            default = self.server_state.default_headers
            closes = closes or self._draining or CLOSE in default
            end = b"\r\nconnection: close\r\n\r\n" if closes else b"\r\n\r\n"
            body = reply.body
            head = cast(HotRequests, self._hot).reply_head(reply, default)
            transport.write(b"%b%d%b%b" % (head, len(body), end, body))
            if closes:
                transport.close()
                return
            self._idle_since = self.loop.time()
        if self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            self.flow.resume_reading()
            self.data_received(data)

    def _is_idle(self) -> bool:
        return self._between_messages and not self._expected_bytes and not self._is_answering()

    def _is_answering(self) -> bool:
        return (
            bool(self._request)
            or bool(self.pipeline)
            or (self.cycle is not None and not self.cycle.response_complete)
        )

    def _stop_answering(self) -> None:
        """Drop what the application still sends. uvicorn knows the last request only, and others may have been sent before it."""
        self.pipeline.clear()
        for cycle in self._unanswered:
            stop_answering(cycle)
        self._unanswered.clear()

    def _close_when_quiet(self) -> None:
        if self._quiet is None and self._is_idle() and not self.transport.is_closing():
            self._quiet = self.loop.call_later(_QUIET_SECONDS, self._close_if_quiet)

    def _close_if_quiet(self) -> None:
        self._quiet = None
        if self._is_idle() and not self.transport.is_closing():
            self.transport.close()

    def _cancel_quiet(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
