"""Push to one browser tab: a single persistent callback runs the stream of the view that the tab shows.

A page puts ``dcc.Store(id="live-view", data={"kind": …})`` into its layout and registers a stream for that kind. A new
view in the same tab ends the stream before it. A heartbeat every few seconds lets the browser notice a dead stream and
ask for a new one (`chatops.js`); a probe lets the server notice a tab that has gone, because Dash shares one socket
between all tabs of a browser and a closed tab does not close it.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable
from datetime import tzinfo
from typing import Any, Protocol

from dash import Dash, Input, State, ctx, set_props
from dash.exceptions import PreventUpdate, WebsocketDisconnected

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.session import Session, SessionEndedError, current_session, request_zone

log = logging.getLogger(__name__)

HEARTBEAT_S = 3.0
PROBE_S = 30.0
PROBE_TIMEOUT_S = 10.0
# Without a socket (browsers that lack SharedWorker) a stream gets this long to say something, then the answer goes out.
ONE_SHOT_S = 1.5
SETTLE_S = 0.15
RETRY_S = 3.0
FINAL_STATUSES = (400, 403, 404)
# Properties that say nothing about whether the stream works.
OWN = ("live-heartbeat", "live-problem")

View = dict[str, Any]


class Push(Protocol):
    """Sets properties of components in one tab."""

    def __call__(self, component_id: str | dict[str, Any], **props: Any) -> None: ...

    async def settle(self) -> None:
        """Wait until the tab has drawn what was pushed.

        Needed between a chart's `figure` and its first `extendData`: dcc.Graph 4.4 that gets both in one rendering adds
        the points to every chart of the page (it pushes into an array that all of them share).
        """

    async def read(self, component_id: str, prop: str) -> Any:
        """What a property is in the tab now. Where a stream only answers once, it never returns."""


class Stream(Protocol):
    """Pushes until it is cancelled; returning means there is nothing more to tell."""

    def __call__(self, session: Session, view: View, zone: tzinfo, push: Push) -> Awaitable[None]: ...


class LiveViews:
    """The streams by kind of view, and which tab runs which now."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self._companions: list[Stream] = []
        self._stops: dict[tuple[int, str], asyncio.Event] = {}

    def add(self, kind: str, stream: Stream) -> None:
        self._streams[kind] = stream

    def add_companion(self, stream: Stream) -> None:
        """A stream that runs beside every view, for what surrounds all pages."""
        self._companions.append(stream)

    @property
    def active(self) -> int:
        """How many tabs are being served."""
        return len(self._stops)

    async def serve(self, session: Session, view: View, zone: tzinfo, tab: str, socket: Any) -> None:
        """Run the stream of `view` until it ends, the tab shows something else or goes away, or the session ends."""
        stream = self._streams.get(str(view.get("kind")))
        key = (id(session), tab)
        if (earlier := self._stops.pop(key, None)) is not None:
            earlier.set()
        streams = [*self._companions, *([stream] if stream is not None else [])]
        if not streams:
            return
        stop = self._stops[key] = asyncio.Event()
        if socket is not None:
            # What was wrong with the view before is not wrong with this one.
            _pusher(socket)("live-problem", data="")
        # To each stream its own: what one of them pushes does not say that another works again.
        running = [asyncio.create_task(_guarded(one, session, view, zone, _pusher(socket))) for one in streams]
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(stop.wait()),
            asyncio.create_task(session.ended.wait()),
        ]
        if socket is not None:
            tasks.append(asyncio.create_task(_keep_alive(session, socket, _pusher(socket))))
        elif stream is not None:
            # A plain request is answered when its view has nothing more to tell.
            tasks.append(running[-1])
        try:
            await asyncio.wait(
                tasks,
                return_when=asyncio.FIRST_COMPLETED,
                timeout=None if socket is not None else ONE_SHOT_S,
            )
        finally:
            for task in {*running, *tasks}:
                task.cancel()
            await asyncio.gather(*running, *tasks, return_exceptions=True)
            if self._stops.get(key) is stop:
                del self._stops[key]


def register_live(app: Dash, views: LiveViews) -> None:
    """The one persistent callback. `live-nudge` changes when the browser misses the heartbeat."""

    @app.callback(
        Input("live-view", "data", allow_optional=True),
        Input("live-nudge", "data"),
        Input("live-paused", "data"),
        State("tab", "data"),
        websocket=True,
        persistent=True,
    )
    async def serve_live_view(view: View | None, _nudge: Any, paused: bool | None, tab: str | None) -> None:
        try:
            session = current_session()
        except SessionEndedError:
            if ctx.websocket is None:
                raise
            raise PreventUpdate from None
        # Paused charts stand still; what runs beside them still knows whose they are.
        shown = {**(view or {}), "kind": "paused"} if paused else (view or {})
        await views.serve(session, shown, request_zone(), str(tab), ctx.websocket)


async def _guarded(stream: Stream, session: Session, view: View, zone: tzinfo, push: Push) -> None:
    """Run the stream; when it fails say so in the tab and start it again, unless it can never succeed."""
    while True:
        try:
            await stream(session, view, zone, push)
        except ApiError as error:
            if error.status == 401:
                session.ended.set()
                return
            push("live-problem", data=error.detail)
            if error.status in FINAL_STATUSES:
                return
        except BackendUnreachableError:
            push("live-problem", data="The backend does not answer; trying again…")
        except WebsocketDisconnected:
            return
        except Exception:
            log.exception("the live view %s failed", view.get("kind"))
            push("live-problem", data="Live updates failed; the log of the dashboard tells why. Trying again…")
        else:
            return
        await asyncio.sleep(RETRY_S)


async def _keep_alive(session: Session, socket: Any, push: Push) -> None:
    """Return when the tab no longer answers."""
    loop = asyncio.get_running_loop()
    next_probe = loop.time() + PROBE_S
    while not socket.is_shutdown:
        push("live-heartbeat", data=time.time())
        session.touch()
        await asyncio.sleep(HEARTBEAT_S)
        if loop.time() >= next_probe:
            try:
                await socket.get_prop("tab", "data", timeout=PROBE_TIMEOUT_S)
            except (TimeoutError, WebsocketDisconnected):
                return
            next_probe = loop.time() + PROBE_S


def _pusher(socket: Any) -> Push:
    return AnswerPush() if socket is None else SocketPush(socket)


class SocketPush:
    """Pushes over the socket that Dash opened."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._troubled = False

    def __call__(self, component_id: str | dict[str, Any], **props: Any) -> None:
        if component_id == "live-problem":
            self._troubled = True
        elif self._troubled and component_id not in OWN:
            self._troubled = False
            self._socket.set_prop_sync("live-problem", "data", "")
        name = component_id if isinstance(component_id, str) else json.dumps(component_id, separators=(",", ":"))
        for prop, value in props.items():
            self._socket.set_prop_sync(name, prop, value)

    async def settle(self) -> None:
        for _ in range(2):
            await self._socket.get_prop("tab", "data", timeout=PROBE_TIMEOUT_S)
            await asyncio.sleep(SETTLE_S)

    async def read(self, component_id: str, prop: str) -> Any:
        return await self._socket.get_prop(component_id, prop, timeout=PROBE_TIMEOUT_S)


class AnswerPush:
    """Collects for the answer of a plain request; that answer is one rendering, so nothing may follow a figure."""

    def __call__(self, component_id: str | dict[str, Any], **props: Any) -> None:
        set_props(component_id, props)

    async def settle(self) -> None:
        await asyncio.Event().wait()

    async def read(self, component_id: str, prop: str) -> Any:
        await asyncio.Event().wait()
