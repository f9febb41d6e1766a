"""What a page is: the shell asks it for its content, the app has it register its callbacks."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from dash import Dash

from chatops_dashboards.live import LiveViews
from chatops_dashboards.session import Session
from chatops_dashboards.settings import DashboardSettings


@dataclass(frozen=True)
class PageContext:
    """What a page may use: who asks, the path's parts, the query, their time zone and the settings."""

    session: Session
    parts: Mapping[str, str]
    query: Mapping[str, str]
    zone: tzinfo
    settings: DashboardSettings
    host: str


@dataclass(frozen=True)
class Titled:
    """Content that knows better than its page what the browser's tab is called."""

    content: Any
    title: str


@dataclass(frozen=True)
class Page:
    """`pattern` matches the whole path; `layout` answers the content, or it `Titled`; `register` adds callbacks and
    streams."""

    name: str
    title: str
    pattern: re.Pattern[str]
    layout: Callable[[PageContext], Awaitable[Any]]
    register: Callable[[Dash, LiveViews, DashboardSettings], None]
    navigation: str | None = None
    icon: str = "server"
    admin_only: bool = False
    # The id of an element beside the title in the navigation, for a count that a stream pushes.
    badge: str | None = None
