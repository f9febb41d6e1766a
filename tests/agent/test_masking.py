"""Secrets in command lines are masked before they leave the host; what is none stays readable."""

import time

import pytest

from chatops_agent.control.masking import HIDDEN, MAX_CHARACTERS, masked

CANARY = "s3cr3t-canary"


@pytest.mark.parametrize(
    "argv",
    [
        ["app", f"--password={CANARY}"],
        ["app", "--password", CANARY],
        ["app", "-password", CANARY],
        ["app", f"--db-password={CANARY}"],
        ["app", f"--passwd={CANARY}"],
        ["app", f"--secret-key={CANARY}"],
        ["app", "--api-key", CANARY],
        ["app", f"--api_key={CANARY}"],
        ["app", "--token", CANARY],
        ["app", f"--auth-token={CANARY}"],
        ["app", f"--client-secret:{CANARY}"],
        ["env", f"PGPASSWORD={CANARY}", "psql"],
        ["env", f"AWS_SECRET_ACCESS_KEY={CANARY}", "aws"],
        ["env", f"GITHUB_TOKEN={CANARY}", "gh"],
        ["java", f"-Ddb.password={CANARY}", "-jar", "x.jar"],
        ["sh", "-c", f"export TOKEN={CANARY}; run"],
        ["sh", "-c", f'curl -H "Authorization: Bearer {CANARY}" x'],
        ["curl", "-H", f"Authorization: Bearer {CANARY}"],
        ["curl", "-H", f"Authorization: Basic {CANARY}"],
        ["curl", "-H", f"X-Api-Key: {CANARY}"],
        ["curl", "-u", f"ann:{CANARY}", "https://example.org"],
        ["curl", "--user", f"ann:{CANARY}"],
        ["curl", f"https://ann:{CANARY}@example.org/x"],
        ["psql", f"postgresql://ann:{CANARY}@db/x"],
        ["redis-cli", "-u", f"redis://:{CANARY}@db"],
        ["mysql", f"-p{CANARY}", "-u", "root"],
        ["sshpass", "-p", CANARY, "ssh", "host"],
        ["sshpass", f"-p{CANARY}", "ssh", "host"],
        ["app", f'{{"password": "{CANARY}"}}'],
        ["app", f"password={CANARY}&user=ann"],
        ["app", f"chatops_agent_{CANARY.replace('-', '_')}"],
        ["app", f"ghp_{CANARY.replace('-', 'x')}{'a' * 20}"],
        ["app", f"eyJhbGciOi.{CANARY}.{CANARY}"],
    ],
    ids=" ".join,
)
def test_a_secret_is_masked(argv) -> None:
    shown = masked(argv)
    assert CANARY not in shown
    assert CANARY.replace("-", "_") not in shown
    assert CANARY.replace("-", "x") not in shown
    assert HIDDEN in shown
    assert shown.startswith(argv[0])


@pytest.mark.parametrize(
    "line",
    [
        "nginx: master process /usr/sbin/nginx",
        "/usr/bin/python3 -m http.server --port 8000",
        "docker run -p 8080:80 image",
        "mysql -P 3306 -u root",
        "ssh -p 2222 host",
        "postgres: autovacuum launcher",
        "passwd ann",
        "/usr/lib/systemd/systemd --user",
        "tail -f /var/log/auth.log",
    ],
)
def test_what_is_no_secret_stays_as_it_is(line) -> None:
    assert masked(line.split(" ")) == line


def test_a_long_line_is_cut_and_costs_little() -> None:
    assert len(masked(["x" * 1_000_000, *["y" * 1000] * 10_000])) == MAX_CHARACTERS
    assert masked([]) == ""
    # Quadratic patterns would take minutes.
    masked(["a=" * 500_000, "password" * 100_000, "://" * 300_000, "-" * 1_000_000])


@pytest.mark.parametrize(
    "argument",
    [
        "--" + "password" * 16_000 + "!",
        "password_" * 170 + "!",
        "password" * 190 + "=",
        "a_" * 800 + "!",
        "pw-" * 500 + "=",
        "a.a+" * 400,
        "eyJaaaa-" * 200,
    ],
    ids=lambda argument: argument[:12],
)
def test_a_command_line_made_to_be_slow_is_not(argument) -> None:
    # Anybody on the host can name a process so, and the agent masks each of them.
    began = time.thread_time()
    masked(["app", argument])
    assert time.thread_time() - began < 0.1


@pytest.mark.parametrize(
    "argument", [f"a=password={CANARY}", f"x_pw={CANARY}", f"a-pwd: {CANARY}", f"--my-pass={CANARY}"]
)
def test_a_name_that_follows_or_ends_another_counts(argument) -> None:
    assert CANARY not in masked(["app", argument])
