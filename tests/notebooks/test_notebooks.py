"""All notebooks from top to bottom, on a small demo fleet of a real backend; and what is committed of them."""

import base64
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chatops_client import Client
from tests.conftest import ADMIN_PASSWORD, SECRET_KEY, NewSettings
from tests.stack import Backend, environment, running_backend

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ["capacity_forecast", "first_look", "incident_forensics", "retention_cost", "threshold_tuning"]
SERVERS, DAYS = 4, 15
FILL_WITHIN_S = 480
PNG = b"\x89PNG\r\n\x1a\n"
# A token of ours, a path of a home or a temporary folder, an address with a port.
NEVER = re.compile(r"eyJ[A-Za-z0-9_-]{10}|/(home|root|tmp|var/tmp|work)/|127\.0\.0\.1:\d|password is")


@pytest.fixture(scope="module")
async def fleet(new_settings: NewSettings) -> AsyncIterator[Backend]:
    """A backend with a demo fleet that has two disks that fill, a memory leak and a noisy neighbour."""
    with running_backend(await new_settings()) as backend:
        env = environment(backend.settings) | {"CHATOPS_ADMIN_PASSWORD": ADMIN_PASSWORD}
        subprocess.run(
            [sys.executable, "-m", "chatops_cli", "demo", "--servers", str(SERVERS), "--days", str(DAYS)],
            env=env,
            stdin=subprocess.DEVNULL,
            check=True,
            timeout=FILL_WITHIN_S,
        )
        yield backend


@pytest.fixture(scope="module")
def run() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebooks_run", FOLDER / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook["cells"] if cell["cell_type"] == "code" for output in cell["outputs"]]


def printed(notebook: Any) -> str:
    return "".join("".join(output["text"]) for output in outputs(notebook) if output["output_type"] == "stream")


def pictures(notebook: Any) -> list[bytes]:
    shown = [output["data"] for output in outputs(notebook) if "data" in output]
    return [base64.b64decode(data["image/png"]) for data in shown if "image/png" in data]


def test_these_are_all_notebooks() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_is_committed_has_pictures_no_errors_and_no_secrets(name: str) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text()
    notebook = json.loads(text)
    assert len(pictures(notebook)) >= 2
    assert all(picture.startswith(PNG) for picture in pictures(notebook))
    assert [output for output in outputs(notebook) if output["output_type"] == "error"] == []
    assert not [output for output in outputs(notebook) if output.get("name") == "stderr"]
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    without_pictures = re.sub(r'"image/png": "[^"]+"', "", text)
    assert NEVER.findall(without_pictures) == []
    assert not any(secret in text for secret in (ADMIN_PASSWORD, SECRET_KEY))
    assert len(text) < 400_000


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_from_top_to_bottom(
    name: str, fleet: Backend, run: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATOPS_API_URL", fleet.url)
    monkeypatch.setenv("CHATOPS_USERNAME", "admin")
    monkeypatch.setenv("CHATOPS_PASSWORD", ADMIN_PASSWORD)
    notebook = run.execute(FOLDER / f"{name}.ipynb")
    assert len(pictures(notebook)) >= 2
    if name == "capacity_forecast":
        with Client(fleet.url, username="admin", password=ADMIN_PASSWORD) as client:
            _holds_the_answers_of_the_api(printed(notebook), client)
    if name == "incident_forensics":
        assert re.search(r"demo-batch-1, .* and nightly-report took \d\d of them", printed(notebook))
    if name == "threshold_tuning":
        assert re.search(r"above \d\d\.\d % for \d+ minutes fires for \d+\.\d hours", printed(notebook))


def _holds_the_answers_of_the_api(text: str, client: Client) -> None:
    """Which disks fill, on the day that the API says, and the containers that the demo made the cause."""
    assert text.count(" is full on ") == 2
    names = {server.id: server.name for server in client.servers()}
    for history_s in (30 * 86_400.0, 5 * 86_400.0):
        found = client.analysis.forecast("filesystem.used_percent", tag="demo", history_s=history_s)
        for one in found.series:
            if one.outcome == "reaches" and one.reaches_at is not None:
                said = f"{names[one.server_id]} {one.labels['mountpoint']} is full on {one.reaches_at:%A, %d %B}"
                if said in text:
                    text = text.replace(said, "")
    assert " is full on " not in text
    assert re.search(r"access-log writes \d+\.\d GiB a day since \d\d \w+, \d+ times as much", text)
    assert re.search(r"audit-trail writes \d+\.\d GiB a day since \d\d \w+, \d+ times as much", text)


def test_jupyterlab_opens_the_folder_and_its_kernels_are_logged_in(fleet: Backend, tmp_path: Path) -> None:
    """A JupyterLab of the test's own says what it was given."""
    said = tmp_path / "said.json"
    (tmp_path / "jupyterlab.py").write_text(
        f"import json, os, sys; json.dump([sys.argv[1:], dict(os.environ)], open({str(said)!r}, 'w'))"
    )
    password = tmp_path / "password"
    password.write_text(ADMIN_PASSWORD)
    command = [sys.executable, "-m", "chatops_cli", "notebooks", "--password-file", str(password), "--no-browser"]
    env = environment(fleet.settings) | {"CHATOPS_ADMIN_PASSWORD": "", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    arguments, given = json.loads(said.read_text())
    assert arguments == ["--ServerApp.ip=127.0.0.1", "--no-browser", str(FOLDER)]
    assert given["CHATOPS_API_URL"] == fleet.url
    assert (given["CHATOPS_USERNAME"], given["CHATOPS_PASSWORD"]) == ("admin", ADMIN_PASSWORD)
    assert ADMIN_PASSWORD not in done.stdout + " ".join(arguments)
