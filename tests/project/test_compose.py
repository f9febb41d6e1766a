"""docker-compose.yml: pinned images, no root, secrets from files, health checks, loopback only."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("backend", "dashboard", "agent")


def test_it_runs_the_database_and_the_three_parts() -> None:
    assert set(SERVICES) == {"database", *OURS}
    assert [SERVICES[name]["command"] for name in OURS] == [
        ["chatops", "server"],
        ["chatops", "dashboard"],
        ["chatops", "agent"],
    ]


def test_the_database_is_a_pinned_community_edition() -> None:
    image, _, tag = SERVICES["database"]["image"].partition(":")
    assert image == "timescale/timescaledb"
    assert re.fullmatch(r"\d+\.\d+\.\d+-pg\d+", tag), "a full version, and not the -oss edition"


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_runs_as_root_or_gains_rights(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    if name in OURS:
        assert service["read_only"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_health_check_and_starts_again(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_the_health_checks_are_programs_that_compile() -> None:
    for name in OURS:
        command = SERVICES[name]["healthcheck"]["test"]
        assert command[1:3] == ["python3", "-c"]
        compile(command[3], name, "exec")


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_parts_wait_until_what_they_need_is_healthy() -> None:
    assert SERVICES["backend"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert SERVICES["dashboard"]["depends_on"] == {"backend": {"condition": "service_healthy"}}


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_from_files(name: str) -> None:
    environment, secrets = SERVICES[name].get("environment", {}), SERVICES[name].get("secrets", [])
    for variable, value in environment.items():
        if re.search(r"PASSWORD|SECRET|KEY|DATABASE_URL", variable):
            assert variable.endswith("_FILE")
            assert value.removeprefix("/run/secrets/") in secrets
    assert set(secrets) <= set(COMPOSE["secrets"])


def test_every_secret_is_made_by_the_script_and_kept_out_of_git(tmp_path: Path) -> None:
    shutil.copy(ROOT / "secrets/make.sh", tmp_path)
    for _ in range(2):
        subprocess.run(["sh", tmp_path / "make.sh"], check=True, capture_output=True)
        made = {path.name: path.read_text() for path in tmp_path.iterdir() if path.name != "make.sh"}
        assert set(made) == {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
        assert made["database_password"] in made["database_url"]
        assert len(made["secret_key"]) >= 32
        assert len(made["admin_password"]) >= 12
        assert tmp_path.stat().st_mode & 0o777 == 0o700
        first = made
    assert first == made, "a second run keeps what there is"
    for name in made:
        assert subprocess.run(["git", "check-ignore", "-q", f"secrets/{name}"], cwd=ROOT, check=False).returncode == 0


def test_compose_itself_accepts_the_file() -> None:
    program = shutil.which("docker-compose")
    command = [program] if program else ["docker", "compose"]
    if program is None and (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0
    ):
        pytest.skip("neither docker-compose nor docker compose is installed")
    done = subprocess.run([*command, "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
