"""The history of alerts in Chromium: page by page, by filters that the address bar keeps."""

import asyncio
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import fits, log_in

pytestmark = pytest.mark.browser
# More than two pages of the grid.
COUNT = 120


def insert(stack: Stack, rule: str) -> int:
    """Alerts of a server of their own that are over, an hour apart, each third critical."""
    address = stack.backend.settings.database_url
    if address is None:
        pytest.skip("the embedded database takes no second process")
    server_id, _ = stack.backend.add_server(rule)
    asked: dict[str, Any] = {"name": rule, "metric": "host.cpu_percent", "server_ids": [server_id], "critical": 90}
    rule_id = stack.backend.call("POST", "/alerts/thresholds", json=asked).raise_for_status().json()["id"]

    async def run() -> None:
        connection = await asyncpg.connect(address)
        await connection.execute(
            "INSERT INTO chatops.alerts (threshold_id, server_id, labels, state, level, value, bound, window_s,"
            " pending_at, started_at, resolved_at) SELECT $1, $2, jsonb_build_object('device', n), 'resolved',"
            " CASE WHEN n % 3 = 0 THEN 'critical' ELSE 'warning' END, 90 + n / 100.0, '90', 60,"
            " now() - make_interval(hours => $3 - n), now() - make_interval(hours => $3 - n),"
            " now() - make_interval(hours => $3 - n) + interval '5 min' FROM generate_series(1, $3::integer) AS n",
            rule_id,
            server_id,
            COUNT,
        )
        await connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, run()).result()
    return server_id


def test_what_is_over_comes_page_by_page_and_the_address_restores_the_filters(watched: Watched, stack: Stack) -> None:
    rule = f"busy-{secrets.token_hex(4)}"
    server_id = insert(stack, rule)
    page = watched.page(color_scheme="light")
    log_in(page, stack.url, "/alerts")
    page.get_by_role("link", name="All that were").click()
    page.wait_for_url("**/alerts/history?state=resolved")
    page.goto(f"{stack.url}/alerts/history?state=resolved&server={server_id}")
    rows = page.locator("#alert-history .ag-center-cols-container .ag-row")
    expect(rows.first).to_contain_text(f"{rule} · {COUNT}")
    expect(rows.first).to_contain_text("◆Critical")
    keep(page, "alert-history")
    rows.first.hover()
    for index in range(10, COUNT, 10):
        page.mouse.wheel(0, 360)
        expect(rows.and_(page.locator(f"[row-index='{index}']"))).to_contain_text(f"{rule} · {COUNT - index}")
    page.locator("#alert-history-level").click()
    page.get_by_role("option", name="Critical").click()
    page.wait_for_url(re.compile("level=critical"))
    expect(rows.filter(has_text="Warning")).to_have_count(0)
    page.reload()
    expect(rows.first).to_contain_text("Critical")
    expect(rows.filter(has_text="Warning")).to_have_count(0)
    rows.first.get_by_role("link", name=rule).click()
    expect(page.locator("#alert-summary")).to_contain_text("Resolved")
    page.goto(f"{stack.url}/alerts/history?state=pending&server={server_id}")
    expect(page.get_by_text("No alert matches")).to_be_visible()
    phone = watched.page(color_scheme="light", viewport={"width": 380, "height": 800})
    log_in(phone, stack.url, f"/alerts/history?server={server_id}")
    expect(phone.locator("#alert-history .ag-row").first).to_be_visible()
    assert fits(phone)
    keep(phone, "alert-history-380")
