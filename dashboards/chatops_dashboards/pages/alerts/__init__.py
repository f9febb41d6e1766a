"""Everything about alerts: what fires, what did, why one did, the rules with their editor, silences, channels."""

from chatops_dashboards.page import Page
from chatops_dashboards.pages.alerts import channels, detail, history, overview, rule_editor, rules, silences

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    history.PAGE,
    detail.PAGE,
    rules.PAGE,
    rule_editor.PAGE,
    silences.PAGE,
    channels.PAGE,
)
