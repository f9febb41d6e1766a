"""The pages, in the order of the navigation. A new page is one module with a `PAGE` and one line here."""

from chatops_dashboards.page import Page
from chatops_dashboards.pages import account, alerts, audit, commands, explore, fleet, server, users

PAGES: tuple[Page, ...] = (
    fleet.PAGE,
    server.PAGE,
    explore.PAGE,
    *alerts.PAGES,
    commands.PAGE,
    users.PAGE,
    audit.PAGE,
    account.PAGE,
)
