"""What people do on the other pages, in Chromium: nothing stale is saved, nothing dangerous goes unasked."""

import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import fits, log_in, until
from tests.browser.test_rule_editor import field

pytestmark = pytest.mark.browser
# What a page on plain HTTP of another host lacks.
WITHOUT_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', { value: undefined })"


def unique(word: str) -> str:
    return f"{word}-{time.time_ns()}"


def make_rule(stack: Stack, **values: Any) -> int:
    rule = {"name": unique("rule"), "metric": "host.cpu_percent", "server_ids": [stack.host.server_id], "critical": 99}
    answer = stack.backend.call("POST", "/alerts/thresholds", json=rule | values).raise_for_status()
    number: int = answer.json()["id"]
    return number


def make_user(stack: Stack) -> str:
    asked = {"username": unique("user"), "password": "the first password", "role": "viewer"}
    name: str = stack.backend.call("POST", "/users", json=asked).raise_for_status().json()["username"]
    return name


def confirm(page: Page, word: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=word, exact=True).click()


def test_the_fleet_leads_with_what_fires_and_follows_it(watched: Watched, stack: Stack) -> None:
    name = unique("any load")
    rule = make_rule(stack, name=name, critical=1, window_s=60)
    page = watched.page()
    log_in(page, stack.url)
    card = page.locator("article").filter(has=page.get_by_role("link", name="web-01", exact=True))
    expect(card).to_have_class("card card-critical", timeout=60_000)
    expect(card.locator(".card-alert")).to_contain_text("◆")
    line = page.locator(".alerts-firing")
    expect(line).to_contain_text("firing")
    expect(line).to_contain_text("critical")
    expect(page.locator(".problems")).to_contain_text(name)
    keep(page, "fleet-with-alerts")
    line.click()
    page.wait_for_url("**/alerts")
    page.go_back()
    expect(line).to_be_visible()
    stack.backend.call("DELETE", f"/alerts/thresholds/{rule}").raise_for_status()
    expect(page.locator(".problems").filter(has_text=name)).to_have_count(0, timeout=30_000)


def test_a_value_that_is_typed_and_saved_at_once_is_the_one_saved(watched: Watched, stack: Stack) -> None:
    page, name = watched.page(viewport={"width": 1440, "height": 1300}), unique("at once")
    log_in(page, stack.url, f"/alerts/rules/new?server={stack.host.server_id}")
    field(page, "name").fill(name)
    field(page, "critical").fill("much")
    expect(page.get_by_text("Write a number, for example 90.")).to_be_visible()
    field(page, "critical").fill("87")
    page.get_by_role("button", name="Create rule").click(no_wait_after=True)
    page.wait_for_url("**/alerts/rules", timeout=60_000)
    expect(page.locator("#rules-message")).to_contain_text(f"“{name}” is created")
    rules = stack.backend.call("GET", "/alerts/thresholds").json()["items"]
    [rule] = [rule for rule in rules if rule["threshold"]["name"] == name]
    assert rule["threshold"]["critical"] == 87
    stack.backend.call("DELETE", f"/alerts/thresholds/{rule['id']}").raise_for_status()


def test_a_deleted_rule_leads_to_the_list_and_is_not_gone_back_to(watched: Watched, stack: Stack) -> None:
    page, name = watched.page(), unique("to go")
    rule = make_rule(stack, name=name)
    log_in(page, stack.url, "/alerts/channels")
    page.get_by_role("link", name="Rules", exact=True).click()
    page.get_by_role("link", name=name).click()
    page.locator("#rule-delete-ask").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"This deletes “{name}”")
    confirm(page, "Delete")
    expect(page.locator("#rules-message")).to_contain_text(f"“{name}” is deleted")
    assert stack.backend.call("GET", f"/alerts/thresholds/{rule}").status_code == 404
    page.go_back()
    expect(page.locator("#page h1")).to_have_text("Rules")
    expect(page.get_by_text("Not found")).to_have_count(0)


def test_a_new_password_is_asked_for_shown_once_and_copied_without_a_clipboard(watched: Watched, stack: Stack) -> None:
    page, name = watched.page(), make_user(stack)
    page.add_init_script(WITHOUT_CLIPBOARD)
    log_in(page, stack.url, "/users")
    page.get_by_role("button", name=f"New password: {name}").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"“{name}”")
    confirm(page, "Give a new password")
    password = page.locator("#user-password-text").inner_text()
    page.get_by_role("button", name="Copy the password").click()
    expect(page.get_by_role("button", name="Copy the password")).to_have_text("Copied")
    page.keyboard.press("Escape")
    until(lambda: password not in page.content(), "the password leaves the page with its dialogue")
    page.locator("#users-add").click()
    page.locator("#users-display").focus()
    page.keyboard.press("Control+V")
    assert page.locator("#users-display").input_value() == password
    page.keyboard.press("Escape")
    login = {"username": name, "password": password}
    assert stack.backend.call("POST", "/auth/login", json=login).status_code < 300


def test_a_role_that_is_not_confirmed_does_not_stay_chosen(watched: Watched, stack: Stack) -> None:
    page, name = watched.page(), make_user(stack)
    log_in(page, stack.url, "/users")
    role = page.get_by_role("textbox", name=f"Role of {name}")
    role.click()
    page.get_by_role("option", name="admin").last.click()
    expect(page.get_by_role("dialog")).to_contain_text("may do more")
    confirm(page, "Cancel")
    expect(role).to_have_value("viewer")
    users = stack.backend.call("GET", "/users").json()["items"]
    assert {user["username"]: user["role"] for user in users}[name] == "viewer"


def test_deactivating_a_key_asks_and_cancelling_leaves_it(watched: Watched, stack: Stack) -> None:
    server_id, _ = stack.backend.add_server(unique("keyed"))
    page = watched.page()
    log_in(page, stack.url, f"/servers/{server_id}?tab=settings")
    page.get_by_role("button", name="Deactivate the key").click()
    expect(page.get_by_role("dialog")).to_contain_text("disconnected at once")
    confirm(page, "Cancel")
    expect(page.locator("#settings-keys")).to_contain_text("Active")
    page.get_by_role("button", name="Deactivate the key").click()
    confirm(page, "Deactivate")
    expect(page.locator("#settings-keys")).to_contain_text("Deactivated")


def test_a_silence_is_changed_in_its_dialogue(watched: Watched, stack: Stack) -> None:
    span = {"starts_at": "2030-01-01T01:00:00Z", "ends_at": "2030-01-01T03:00:00Z"}
    before, comment = unique("before"), unique("after")
    asked = span | {
        "server_id": stack.host.server_id,
        "comment": before,
        "recurrence": "daily",
        "timezone": "Asia/Tokyo",
    }
    stack.backend.call("POST", "/alerts/silences", json=asked).raise_for_status()
    page = watched.page()
    log_in(page, stack.url, "/alerts/silences")
    row = page.locator("tr").filter(has_text=before)
    row.get_by_role("button", name="Change…").click()
    expect(page.locator("#silences-zone")).to_contain_text("Asia/Tokyo")
    expect(page.locator("#silences-end")).to_contain_text("2030-01-01 12:00")
    page.fill("#silences-comment", comment)
    page.locator("#silences-submit").click()
    changed = page.locator("tr").filter(has_text=comment)
    expect(changed).to_contain_text("every day 10:00 to 12:00 (Asia/Tokyo)")
    changed.get_by_role("button", name="Delete…").click()
    expect(page.get_by_role("dialog")).to_contain_text("all its repetitions")
    confirm(page, "Delete")
    expect(changed).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_users_fit_a_phone_and_no_name_breaks_letter_by_letter(watched: Watched, stack: Stack, theme: str) -> None:
    name = make_user(stack)
    page = watched.page(color_scheme=theme, viewport={"width": 380, "height": 800})
    log_in(page, stack.url, "/users")
    shown = page.get_by_text(name, exact=True)
    expect(shown).to_be_visible()
    assert fits(page)
    box = shown.bounding_box()
    assert box
    assert box["height"] < 60
    keep(page, f"users-{theme}-380")
