"""Channels and silences over HTTP: works, wrong role, missing, malformed; and no address ever comes back."""

import secrets
from typing import Any

import httpx
import pytest
from litestar import Litestar, Router
from litestar.di import Provide

from chatops_backend.alerts import channel_routes, silence_routes
from chatops_backend.alerts.channel_addresses import Addresses
from chatops_backend.alerts.transports.apprise import AppriseService
from chatops_backend.alerts.transports.sender import Sender
from chatops_backend.alerts.transports.targets import Targets
from chatops_backend.alerts.transports.webhook import Webhook
from chatops_backend.database.interface import Database
from chatops_backend.settings import Settings
from tests.backend.alerts.alerting import Alerting, changed
from tests.backend.alerts.sinks import HttpSink
from tests.backend.conftest import BuildApp, NewPerson, Person

pytestmark = pytest.mark.anyio

MISSING = 2_000_000_000
SECRET = "s3cr3t"


class Switchable(Sender):
    """The real sender; private targets are allowed until a test says no."""

    def __init__(self) -> None:
        self.targets = Targets(True)
        super().__init__(
            {"webhook": Webhook(self.targets), "apprise": AppriseService(self.targets)}, Addresses("x" * 32)
        )


@pytest.fixture(scope="module")
def sender() -> Switchable:
    return Switchable()


@pytest.fixture(scope="module")
def alerts_app(build_app: BuildApp, alert_database: Database, alert_settings: Settings, sender: Sender) -> Litestar:
    router = Router(
        "/alerts",
        route_handlers=[*channel_routes.handlers, *silence_routes.handlers],
        dependencies={"sender": Provide(lambda: sender, sync_to_thread=False)},
    )
    return build_app(alert_database, alert_settings, handlers=(router,))


@pytest.fixture
async def admin(new_person: NewPerson, alerts_app: Litestar) -> Person:
    return await new_person("admin", into=alerts_app)


@pytest.fixture
async def operator(new_person: NewPerson, alerts_app: Litestar) -> Person:
    return await new_person("operator", into=alerts_app)


@pytest.fixture
async def viewer(new_person: NewPerson, alerts_app: Litestar) -> Person:
    return await new_person("viewer", into=alerts_app)


@pytest.fixture(autouse=True)
async def empty(alerting: Alerting, sender: Switchable) -> None:
    sender.targets.allow_private = True


def channel(**values: Any) -> dict[str, Any]:
    return {"name": f"ops {secrets.token_hex(4)}", "type": "webhook", "url": f"https://192.0.2.1/{SECRET}"} | values


async def make(admin: Person, **values: Any) -> dict[str, Any]:
    answer = await admin.api.post("/alerts/channels", json=channel(**values))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_channel_is_made_read_changed_and_deleted(admin: Person, viewer: Person) -> None:
    made = await make(admin, name="pager")
    assert made | {"id": 0, "created_at": ""} == {
        "id": 0,
        "name": "pager",
        "type": "webhook",
        "shown_url": "https://192.0.2.1/…",
        "enabled": True,
        "created_at": "",
        "last_delivered_at": None,
        "last_error": None,
        "waiting": 0,
        "given_up": 0,
    }
    address = f"/alerts/channels/{made['id']}"
    assert (await viewer.api.get(address)).json() == made
    assert (await viewer.api.get("/alerts/channels")).json()["items"] == [made]
    assert (await admin.api.patch(address, json={"enabled": False})).json() == made | {"enabled": False}
    moved = await admin.api.put(address, json={"name": "new", "url": "http://192.0.2.7:8080"})
    assert (moved.json()["name"], moved.json()["shown_url"]) == ("new", "http://192.0.2.7:8080/")
    assert (await admin.api.delete(address)).status_code == 204
    assert (await viewer.api.get(address)).status_code == 404


async def test_no_answer_holds_an_address(
    admin: Person, viewer: Person, operator: Person, sink: HttpSink, sender: Switchable
) -> None:
    urls = {
        "webhook": f"http://{SECRET}:{SECRET}@127.0.0.1:{sink.port}/{SECRET}?token={SECRET}#{SECRET}",
        "apprise": f"json://{SECRET}:{SECRET}@127.0.0.1:{sink.port}/{SECRET}?+X-Token={SECRET}",
    }
    answers: list[httpx.Response] = []
    for kind, url in urls.items():
        sender.targets.allow_private = True
        answers.append(await admin.api.post("/alerts/channels", json=channel(type=kind, url=url)))
        assert answers[-1].status_code == 201, answers[-1].text
        address = f"/alerts/channels/{answers[-1].json()['id']}"
        answers.append(await admin.api.put(address, json={"url": url}))
        for status in (200, 500):
            sink.answer = lambda _, status=status: status
            answers.append(await admin.api.post(f"{address}/test"))
        sender.targets.allow_private = False
        answers.append(await admin.api.post(f"{address}/test"))
        answers.append(await admin.api.put(address, json={"url": url}))
        answers.append(await admin.api.post("/alerts/channels", json=channel(type=kind, url=url)))
        answers.append(await admin.api.post("/alerts/channels", json=channel(type=kind, url=f"nothing://{SECRET}")))
        for person in (admin, operator, viewer):
            answers += [await person.api.get(address), await person.api.get("/alerts/channels")]
    assert sorted({answer.status_code for answer in answers}) == [200, 201, 400]
    assert [answer.text for answer in answers if SECRET in answer.text] == []


async def test_only_administrators_change_or_test_channels(admin: Person, operator: Person, viewer: Person) -> None:
    made = await make(admin)
    address = f"/alerts/channels/{made['id']}"
    for person in (operator, viewer):
        requests = [
            person.api.post("/alerts/channels", json=channel()),
            person.api.put(address, json={"name": "x"}),
            person.api.patch(address, json={"enabled": False}),
            person.api.delete(address),
            person.api.post(f"{address}/test"),
        ]
        assert [(await request).status_code for request in requests] == [403] * 5
    assert (await viewer.api.get(address)).json() == made


async def test_a_missing_channel_is_a_404(admin: Person) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", {"name": "x"}),
        ("PATCH", "", {"url": "https://192.0.2.1/"}),
        ("DELETE", "", None),
        ("POST", "/test", None),
    ):
        answer = await admin.api.request(method, f"/alerts/channels/{MISSING}{path}", json=body)
        assert answer.status_code == 404, (method, path)


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"name": " x"},
        {"type": "mail"},
        {"url": ""},
        {"url": None},
        {"url": "x"},
        {"url": "ftp://192.0.2.1/"},
        {"url": "https://192.0.2.1/\0"},
        {"url": "https://192.0.2.1/ x"},
        {"url": "https://127.1/"},
        {"url": "https://" + "x" * 4000},
        {"type": "apprise", "url": "nothing://x"},
        {"type": "apprise", "url": "syslog://"},
        {"type": "apprise", "url": "json://\0"},
        {"enabled": "yes"},
        {"id": 7},
    ],
)
async def test_a_malformed_channel_is_a_400(admin: Person, values: dict[str, Any]) -> None:
    answer = await admin.api.post("/alerts/channels", json=channel(**values))
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


async def test_private_targets_are_refused_unless_they_are_allowed(
    admin: Person, sink: HttpSink, sender: Switchable
) -> None:
    made = await make(admin, url=sink.url)
    sender.targets.allow_private = False
    answer = await admin.api.post("/alerts/channels", json=channel(url=sink.url))
    assert (answer.status_code, answer.json()["extra"][0]["key"]) == (400, "url")
    assert "CHATOPS_ALLOW_PRIVATE_TARGETS" in answer.json()["detail"]
    changed_url = await admin.api.put(f"/alerts/channels/{made['id']}", json={"url": sink.url})
    assert changed_url.status_code == 400
    # Made while they were allowed, and sent to when they no longer are.
    tested = await admin.api.post(f"/alerts/channels/{made['id']}/test")
    assert (tested.status_code, tested.json()["delivered"]) == (200, False)
    assert sink.requests == []


async def test_a_name_is_taken_whatever_its_case(admin: Person) -> None:
    await make(admin, name="pager")
    other = await make(admin, name="mail")
    assert (await admin.api.post("/alerts/channels", json=channel(name="PAGER"))).status_code == 409
    assert (await admin.api.put(f"/alerts/channels/{other['id']}", json={"name": "Pager"})).status_code == 409


async def test_a_channel_that_rules_notify_is_not_deleted(admin: Person, alerting: Alerting) -> None:
    for field in ("channel_ids", "escalate_channel_ids"):
        made = await make(admin)
        rule_id, rule = await alerting.rule(**{field: [made["id"]]})
        answer = await admin.api.delete(f"/alerts/channels/{made['id']}")
        assert (answer.status_code, rule.name in answer.json()["detail"]) == (409, True)
        await alerting.database.execute("DELETE FROM chatops.thresholds WHERE id = $1", rule_id)
        assert (await admin.api.delete(f"/alerts/channels/{made['id']}")).status_code == 204


async def test_the_test_of_a_channel_sends_a_real_message_and_says_how_it_went(admin: Person, sink: HttpSink) -> None:
    made = await make(admin, url=sink.url, enabled=False)
    address = f"/alerts/channels/{made['id']}"
    answer = await admin.api.post(f"{address}/test")
    assert answer.json() == {"delivered": True, "detail": "the receiver took the message"}
    assert sink.taken[0].json["alerts"][0]["labels"]["alertname"] == "Test of this channel"
    shown = (await admin.api.get(address)).json()
    assert (shown["last_error"], shown["last_delivered_at"] is not None) == (None, True)
    sink.answer = lambda _: 418
    assert (await admin.api.post(f"{address}/test")).json() == {
        "delivered": False,
        "detail": "the receiver answered 418",
    }
    assert (await admin.api.get(address)).json()["last_error"] == "the receiver answered 418"


async def test_what_waits_for_a_channel_is_given_up_when_it_is_disabled(admin: Person, alerting: Alerting) -> None:
    made = await make(admin)
    rule = await alerting.rule(channel_ids=[made["id"]])
    fired = await alerting.alert(rule, await alerting.server())
    await alerting.enqueue(fired)
    address = f"/alerts/channels/{made['id']}"
    assert (await admin.api.get(address)).json()["waiting"] == 1
    shown = (await admin.api.patch(address, json={"enabled": False})).json()
    assert (shown["waiting"], shown["given_up"]) == (0, 1)
    await alerting.enqueue(changed(fired, transition="resolved"))
    assert (await admin.api.get(address)).json()["waiting"] == 0


async def test_channels_come_in_pages(admin: Person, viewer: Person) -> None:
    made = [(await make(admin))["id"] for _ in range(3)]
    first = (await viewer.api.get("/alerts/channels", params={"limit": 2})).json()
    rest = (await viewer.api.get("/alerts/channels", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [c["id"] for c in first["items"] + rest["items"]] == made
    assert (await viewer.api.get("/alerts/channels", params={"cursor": "x"})).status_code == 400


def silence(**values: Any) -> dict[str, Any]:
    return {"tag": "db", "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2126-01-01T00:00:00Z"} | values


async def test_a_silence_is_made_listed_and_ended(operator: Person, viewer: Person, alerting: Alerting) -> None:
    server = await alerting.server()
    rule, _ = await alerting.rule()
    answer = await operator.api.post(
        "/alerts/silences", json=silence(server_id=server, threshold_id=rule, comment="moving house")
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["created_by"], made["active"], made["silence"]["server_id"]) == (operator.username, True, server)
    over = await operator.api.post("/alerts/silences", json=silence(ends_at="2026-01-02T00:00:00Z"))
    assert over.json()["active"] is False
    assert (await viewer.api.get("/alerts/silences")).json()["items"] == [made, over.json()]
    assert (await operator.api.delete(f"/alerts/silences/{made['id']}")).status_code == 204
    assert (await viewer.api.get("/alerts/silences")).json()["items"] == [over.json()]


async def test_a_silence_is_changed_as_a_whole_and_keeps_who_made_it(
    operator: Person, new_person: NewPerson, alerts_app: Litestar
) -> None:
    made = (await operator.api.post("/alerts/silences", json=silence(comment="until noon"))).json()
    other = await new_person("operator", into=alerts_app)
    answer = await other.api.put(f"/alerts/silences/{made['id']}", json=silence(tag="web", recurrence="none"))
    assert answer.status_code == 200, answer.text
    assert answer.json() == made | {"silence": made["silence"] | {"tag": "web", "comment": ""}}
    ended = await other.api.put(f"/alerts/silences/{made['id']}", json=silence(ends_at="2026-01-02T00:00:00Z"))
    assert ended.json()["active"] is False
    assert (await operator.api.get("/alerts/silences")).json()["items"] == [ended.json()]


async def test_viewers_make_change_and_end_no_silences(operator: Person, viewer: Person) -> None:
    made = (await operator.api.post("/alerts/silences", json=silence())).json()
    assert (await viewer.api.post("/alerts/silences", json=silence())).status_code == 403
    assert (await viewer.api.put(f"/alerts/silences/{made['id']}", json=silence(tag="web"))).status_code == 403
    assert (await viewer.api.delete(f"/alerts/silences/{made['id']}")).status_code == 403


async def test_a_missing_silence_is_a_404(operator: Person) -> None:
    assert (await operator.api.delete(f"/alerts/silences/{MISSING}")).status_code == 404
    assert (await operator.api.put(f"/alerts/silences/{MISSING}", json=silence())).status_code == 404


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"tag": None}, "threshold_id"),
        ({"tag": ""}, "tag"),
        ({"tag": "two words"}, "tag"),
        ({"server_id": MISSING}, "server_id"),
        ({"threshold_id": MISSING}, "threshold_id"),
        ({"server_id": 2**63}, "server_id"),
        ({"ends_at": "2025-01-01T00:00:00Z"}, "ends_at"),
        ({"ends_at": "2026-01-02T00:00:00"}, "ends_at"),
        ({"ends_at": "soon"}, "ends_at"),
        ({"recurrence": "daily", "ends_at": "2026-01-03T00:00:00Z"}, "ends_at"),
        ({"recurrence": "monthly"}, "recurrence"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../../etc/passwd"}, "timezone"),
        ({"everything": True}, "data"),
    ],
)
async def test_a_malformed_silence_is_a_400_that_names_its_field(
    operator: Person, values: dict[str, Any], key: str
) -> None:
    made = (await operator.api.post("/alerts/silences", json=silence())).json()
    for answer in (
        await operator.api.post("/alerts/silences", json=silence(**values)),
        await operator.api.put(f"/alerts/silences/{made['id']}", json=silence(**values)),
    ):
        assert answer.status_code == 400, answer.text
        assert answer.json()["extra"][0]["key"] == key
    assert (await operator.api.get("/alerts/silences")).json()["items"] == [made]
