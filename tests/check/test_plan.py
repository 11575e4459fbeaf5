"""What `check` advises and forecasts."""

import json
import re
import resource
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from probe.check import output
from probe.check.plan import plan
from probe.config.loader import load
from probe.config.settings import Settings
from probe.config.units import format_duration, parse_duration
from probe.result import Component, Phase
from tests.builders import lint_settings, make_settings
from tests.commands import COMMAND, environment, invoke, running
from tests.servers import Handler, respond_with, serve

RULES = Path(__file__).parents[2] / "rules" / "inference-probe.rules.yml"

# A response that reports every server time.
TIMED = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer-Timing: "
    + ", ".join(f"{component};dur=0" for component in Component).encode()
    + b"\r\n\r\n{}"
)


def settings(tmp_path: Path, objective: str, **probe: str) -> Settings:
    """Return the settings of a probe with one objective."""
    keys = "".join(f"\n    {key}: {value}" for key, value in probe.items())
    path = tmp_path / "probe.yml"
    path.write_text(
        "probes:\n  - name: m\n    url: http://127.0.0.1:9/"
        + keys
        + f"\n    objectives:\n      - {{name: o, {objective}}}\n"
    )
    return load(path, environ={})


def test_advice_keeps_no_objectives(tmp_path: Path) -> None:
    """The daemon would keep those of each config that it has reloaded."""
    found = settings(tmp_path, "target: 99%, latency: 1s")
    (objective,) = found.probes[0].objectives
    references = sys.getrefcount(objective)
    lint_settings(found)
    assert sys.getrefcount(objective) == references


@pytest.mark.parametrize(
    ("objective", "probe", "advice"),
    [
        (
            "target: 99%, latency: 5s",
            {},
            "the timeout 5s ends requests before they reach",
        ),
        (
            "target: 99.9%",
            {"interval": "10m"},
            "its error budget is 4.3 bad probes in 30 days, so a few",
        ),
        (
            "target: 99.99%",
            {"interval": "1h"},
            "its error budget is 0.072 bad probes in 30 days, so a single bad probe overspends it",
        ),
        (
            "target: 95%",
            {"interval": "1m"},
            "10 minutes hold too few probes to detect a bad ratio of 50%",
        ),
        (
            "target: 99%",
            {"interval": "3h"},
            "ModelObjectiveMissed can never fire: no window holds enough probes",
        ),
        (
            "target: 80%",
            {},
            (
                "ModelErrorBudgetBurn can never page: 6 times the budget of 20% is more than 100%; "
                "only ModelObjectiveMissed and ModelDown can page"
            ),
        ),
        (
            "target: 80%, latency: 30s",
            {"interval": "1h"},
            (
                "ModelObjectiveMissed can never fire: no window holds enough probes; "
                "ModelErrorBudgetBurn can never page: 6 times the budget of 20% is more than 100%; "
                "only ModelDown can page; ModelDown would page falsely 0.18 times in 30 days: it "
                "fires after 5 failures in a row, which happen by chance at this target; "
                "probe at least every 20s, or choose another target"
            ),
        ),
        (
            "target: 50%",
            {},
            "10 minutes hold too few probes to detect a bad ratio of 75%; probe at least every 5s",
        ),
        (
            "target: 80%, alert: ticket",
            {"interval": "1m", "down": "page"},
            "ModelDown would page falsely 11 times in 30 days: it fires after 5 failures in a row",
        ),
    ],
)
def test_advice(tmp_path: Path, objective: str, probe: dict[str, str], advice: str) -> None:
    """Settings that do not do what they seem to do are reported with probe and objective."""
    given = lint_settings(settings(tmp_path, objective, **probe))
    assert any(text.startswith(f"m, o: {advice}") for text in given), given


STREAM = "{content: $.text, usage: {output: $.tokens}}"


@pytest.mark.parametrize(
    ("objective", "probe", "key"),
    [
        ("time_to_first_token: 2s", {"first_token_timeout": "2s"}, "first_token_timeout"),
        ("time_to_first_token: 5s", {}, "timeout"),
        ("time_per_output_token: 1s", {"stall_timeout": "500ms"}, "stall_timeout"),
    ],
)
def test_advice_about_deadlines_of_streams(
    tmp_path: Path, objective: str, probe: dict[str, str], key: str
) -> None:
    """A request that is too slow for an objective should succeed, so that its time is known."""
    found = settings(tmp_path, f"target: 99%, {objective}", stream=STREAM, **probe)
    (advice,) = lint_settings(found)
    assert advice.startswith(f"m, o: the {key} ")
    assert advice.endswith(f"choose a {key} above the threshold")
    assert plan(found).probes[0].forecasts[0].all_slow is None


def test_objectives_on_signals_are_predicted(tmp_path: Path) -> None:
    """The forecast of an objective does not depend on its signal, and names it."""
    texts = []
    for objective in ("latency: 250ms", "time_to_first_token: 250ms"):
        found = settings(tmp_path, f"target: 95%, {objective}", stream=STREAM)
        texts.append(output.render_text(plan(found), "config"))
        json_objective = output.render_json(plan(found))["probes"][0]["objectives"][0]  # type: ignore[index]
        assert json_objective["signal"] == objective.partition(":")[0]
        assert json_objective["threshold_seconds"] == 0.25
    assert "o: 95% time to first token under 250ms (page)" in texts[1]
    latency, first_token = (text.splitlines()[2:-1] for text in texts)
    assert first_token == latency


@pytest.mark.parametrize(
    ("objective", "probe"),
    [
        ("target: 99%, latency: 500ms", {}),
        ("target: 99.9%", {"interval": "30s"}),
        ("target: 95%, alert: ticket", {"interval": "1m"}),
        ("target: 99.9%, alert: none", {"interval": "1h"}),
        ("target: 60%, alert: ticket", {"interval": "10s"}),
    ],
)
def test_no_advice(tmp_path: Path, objective: str, probe: dict[str, str]) -> None:
    """Objectives that work, or have no alerts, get no advice."""
    assert lint_settings(settings(tmp_path, objective, **probe)) == []


@pytest.mark.parametrize(
    "objective",
    ["target: 95%", "target: 80%, alert: ticket", "target: 50%, alert: ticket", "target: 11%"],
)
def test_the_advised_interval_is_enough(tmp_path: Path, objective: str) -> None:
    """A config that follows the advice gets no more advice about its interval."""
    advice = lint_settings(settings(tmp_path, objective, interval="1m", down="page"))
    interval = min(
        map(parse_duration, re.findall(r"probe at least every ([^\s,]+)", " ".join(advice)))
    )
    followed = lint_settings(
        settings(tmp_path, objective, interval=format_duration(interval), down="page")
    )
    assert not [text for text in followed if "probe at least every" in text]


@pytest.mark.parametrize("target", ["50%", "60%", "70%", "80%", "99%"])
def test_every_target_has_a_possible_interval(tmp_path: Path, target: str) -> None:
    """Five seconds between probes are enough for every target."""
    assert not [
        text
        for text in lint_settings(settings(tmp_path, f"target: {target}", interval="5s"))
        if "probe at least every" in text
    ]


@pytest.mark.parametrize(
    ("target", "advice"),
    [
        ("11%", "probe at least every 700ms"),
        ("99.9999999%", "no allowed interval is short enough; lower the target"),
    ],
)
def test_very_short_intervals(tmp_path: Path, target: str, advice: str) -> None:
    """Advised intervals are not above the exact ones, and no shorter than a config allows."""
    started = time.process_time()
    given = lint_settings(settings(tmp_path, f"target: {target}"))
    assert any(advice in text for text in given), given
    assert "100ms" not in "".join(given)
    assert time.process_time() - started < 2


def exported(path: Path, url: str) -> int:
    """Return the number of series of a daemon, once its probe of `url` has succeeded."""
    with running(f"--config.file={path}", environ={"MODEL_URL": url}) as daemon:
        daemon.wait_for("inference_probe_last_success_timestamp_seconds", 1)
        return len(re.findall("(?m)^inference_probe_", daemon.get("/metrics").text))


@pytest.mark.parametrize(
    "probe",
    [
        {"url": "http"},
        {"url": "http", "redirects": 1},
        {"url": "https"},
        {"url": "reference"},
    ],
    ids=["http", "redirect to https", "https", "reference"],
)
def test_series(tmp_path: Path, probe: dict[str, object]) -> None:
    """`check` counts what a daemon exports if the server reports all times and uses TLS."""
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with serve(respond_with(TIMED), tls) as https, serve(_plain(https, probe)) as http:
        # A reference may be a name, whose lookup is a phase.
        named = https.replace("127.0.0.1", "localhost")
        urls = {"http": http, "https": https, "reference": "${env:MODEL_URL}"}
        objectives = [{"name": "o", "target": "99%", "latency": "123ms"}]
        if "redirects" in probe:
            probe = {**probe, "labels": {"team": "a"}, "alert_labels": ["team"]}
        keys = {**probe, "url": urls[str(probe["url"])], "objectives": objectives}
        if probe != {"url": "http"}:
            keys["tls"] = {"ca_file": "ca.pem"}
        path = tmp_path / "probe.yml"
        path.write_text(yaml.safe_dump({"probes": [{"name": "m", **keys}]}))
        count = plan(load(path, environ={"MODEL_URL": named})).series
        assert count.with_server_times == exported(path, named)


def test_series_without_server_times(tmp_path: Path) -> None:
    """`check` also counts what a daemon exports if the server reports no times but a mapped one."""
    timing = {"from": "header", "key": "x-took", "unit": "ms", "component": "total"}
    with serve(respond_with(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as url:
        path = tmp_path / "probe.yml"
        keys = {"name": "m", "url": url, "server_timing": [timing]}
        path.write_text(yaml.safe_dump({"probes": [keys]}))
        count = plan(load(path, environ={})).series
        assert count.without_server_times == exported(path, url)
        assert count.with_server_times == count.without_server_times + 5 * 11


def _plain(https: str, probe: dict[str, object]) -> Handler:
    """Return a server that redirects to `https` if the probe follows redirects."""
    redirect = f"HTTP/1.1 302 Found\r\nLocation: {https}\r\nContent-Length: 0\r\n\r\n"
    return respond_with(redirect.encode() if "redirects" in probe else TIMED)


def test_recordings() -> None:
    """The legend gives the number of series that the rules record, with all phases of a stream."""
    phases = len(Phase) - 1  # instead of `receive`, a stream has two others
    groups = yaml.safe_load(RULES.read_text())["groups"]
    names = [rule["record"] for group in groups for rule in group["rules"] if "record" in rule]
    objective = sum(":slo_" in name for name in names)
    probe = sum(phases if ":phase_" in name else ":slo_" not in name for name in names)
    assert f"up to {probe} more per probe and {objective} per objective" in " ".join(
        output.LEGEND.split()
    )


def test_text(tmp_path: Path) -> None:
    """The text has thresholds by window, detection times, and false alarms of two models."""
    text = output.render_text(plan(settings(tmp_path, "target: 99%, latency: 500ms")), "probe.yml")
    for row in (
        "o: 99% under 500ms (page)",
        "error budget: 2,592 bad probes in 30 days",
        (
            "ModelObjectiveMissed   if bad: 8 of 57 in 10m, or 11 of 117 in 20m, "
            "or 18 of 357 in 1h, or 51 of 2157 in 6h"
        ),
        "ModelErrorBudgetBurn   if bad: 4 of 27 in 5m and 52 of 357 in 1h, or 11 of 177 in 30m and",
        "all fail               page after 3m10s, ticket after 2h",
        "all are slow           page after 4m, ticket after 10m",
        "5% are bad             page after 56m, ticket after 19m",
        "3% stay bad            new pages per day: 2.1",
        "at 99% good            false alarms in 30 days: under 0.01 pages, 68 tickets",
        "at 99.8% good          false alarms in 30 days: under 0.01 pages",
    ):
        assert row in text


def text_of(directory: Path, objective: str, **keys: str) -> str:
    return output.render_text(plan(settings(directory, objective, **keys)), "x")


def test_levels(tmp_path: Path) -> None:
    """An objective with `alert: ticket` has no page thresholds, one without alerts no forecast."""
    ticket = text_of(tmp_path, "target: 99%, alert: ticket", down="page")
    assert "ModelObjectiveMissed  " not in ticket
    assert "all fail               page after 3m10s (ModelDown), ticket after 2h" in ticket
    assert "50% are bad            ticket after" in ticket
    none = text_of(tmp_path, "target: 99%, alert: none", down="page")
    assert "false alarms in" not in none
    assert "no alerts for this objective; ModelDown still pages" in none
    assert "error budget: " in none


def test_level_of_model_down(tmp_path: Path) -> None:
    """`down` decides whether ModelDown pages. By default it has the level of the objectives."""
    ticket = text_of(tmp_path, "target: 99%, alert: ticket")
    assert "all fail               ticket after 3m10s\n" in ticket
    none = text_of(tmp_path, "target: 99%, alert: none")
    assert "no alerts for this objective; ModelDown raises no alert either" in none
    silent = text_of(tmp_path, "target: 99%", interval="60s", down="none")
    assert "all fail               page after 5m30s, ticket after" in silent
    often = text_of(tmp_path, "target: 50%, alert: ticket", interval="1m", down="ticket")
    assert "ModelDown would page falsely" not in often


@pytest.mark.parametrize(
    ("target", "interval", "end"),
    [
        ("15%", "1h", "; probe at least every 2s, or choose another target"),
        ("80%", "1h", "; probe at least every 20s, or choose another target"),
        ("99%", "3h", "; probe at least every 21m, or choose another target"),
        ("99.9999999%", "1h", "; no allowed interval is short enough; lower the target"),
    ],
)
def test_one_advice_if_no_page_is_possible(
    tmp_path: Path, target: str, interval: str, end: str
) -> None:
    """Advice to raise a target and to lower it, or with two intervals, is not given together."""
    (advice,) = lint_settings(settings(tmp_path, f"target: {target}", interval=interval))
    assert advice.endswith(end)


def test_a_budget_instead_of_a_target(tmp_path: Path) -> None:
    """A target of 0.5% has one advice, which proposes 99.5%, and none about its alerts."""
    (advice,) = lint_settings(settings(tmp_path, "target: 0.5%", interval="1h"))
    assert advice.startswith(f"{tmp_path / 'probe.yml'}:6:27: probes[0].objectives[0].target: ")
    assert advice.endswith("did you mean 99.5%?")


def test_no_objectives(tmp_path: Path) -> None:
    """A probe without objectives has few alerts, and with `down: none` none for an outage."""
    alerts = "outages, latency regressions and expiring certificates"
    for down, advice in (
        ("page", f"m: no objectives, so only {alerts} raise alerts"),
        ("none", "m: no objectives and `down: none`, so no outage raises an alert"),
    ):
        probe = {"name": "m", "url": "http://model/", "down": down}
        assert lint_settings(make_settings(tmp_path, probe)) == [advice]


def test_windows_that_cannot_page(tmp_path: Path) -> None:
    """Windows that cannot page are left out."""
    rare = output.render_text(plan(settings(tmp_path, "target: 80%", interval="1h")), "x")
    assert "ModelObjectiveMissed   never\n" in rare
    assert "ModelErrorBudgetBurn   never\n" in rare
    some = output.render_text(plan(settings(tmp_path, "target: 99%", interval="30m")), "x")
    assert "never" not in some
    assert re.search(r"ModelObjectiveMissed   if bad: \d+ of \d+ in \d+h", some)


def test_json(tmp_path: Path) -> None:
    """`check --output=json` has the same figures, and null for never."""
    path = tmp_path / "probe.yml"
    settings(tmp_path, "target: 80%", interval="1m")
    done = invoke("check", f"--config.file={path}", "--output=json")
    (probe,) = json.loads(done.stdout)["probes"]
    (objective,) = probe["objectives"]
    assert objective["burn_pages_at"][0]["long"]["bad"] is None
    assert objective["budget_probes"] == 8640
    assert [found["bad_ratio"] for found in objective["found_after"]] == [1.0, 0.5, 0.05]
    assert objective["found_after"][2]["page_seconds"] is None
    assert probe["series"] > 100
    assert len(objective["false_alarms_in_30_days"]) == 2


def write_fleet(path: Path, size: int) -> None:
    """Write a config of `size` probes with two objectives each, all of them different."""
    probes = [
        {
            "name": f"m{number}",
            "url": "http://127.0.0.1:9/",
            "interval": f"{5000 + 370 * number}ms",
            "objectives": [
                {"name": "fast", "target": f"{99 - number / 100:.2f}%", "latency": "500ms"},
                {"name": "up", "target": f"{99.9 - number / 1000:.3f}%"},
            ],
        }
        for number in range(size)
    ]
    path.write_text(yaml.safe_dump({"probes": probes}))


def check_in_new_process(path: Path, hash_seed: str) -> tuple[float, str]:
    """Return the CPU time (seconds) of `check`, and its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*COMMAND, "check", f"--config.file={path}", "--output=json"],
        env=environment({"PYTHONHASHSEED": hash_seed}),
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def test_a_large_config_is_checked_in_two_seconds(tmp_path: Path) -> None:
    """100 probes with 200 different objectives take at most 1.5 s more CPU than one probe.

    The start of the interpreter with all imports, which depends most on the machine, is half a
    second. Before, each objective took 0.2 s.
    """
    one, hundred = tmp_path / "one.yml", tmp_path / "hundred.yml"
    write_fleet(one, 1)
    write_fleet(hundred, 100)
    base = min(check_in_new_process(one, seed)[0] for seed in "12")
    assert min(check_in_new_process(hundred, seed)[0] for seed in "12") < base + 1.5


def test_equal_configs_have_equal_forecasts(tmp_path: Path) -> None:
    """Two processes with different hash seeds print the same forecast."""
    path = tmp_path / "probe.yml"
    write_fleet(path, 3)
    assert check_in_new_process(path, "1")[1] == check_in_new_process(path, "2")[1]


def test_a_body_that_asks_for_no_stream(tmp_path: Path) -> None:
    """The protocol still expects a stream, so each probe would fail."""
    protocol = "protocol: {openai-chat: {model: m, prompt: hi, extra: {stream: false}}}"
    document = "stream: null"
    url = "http://127.0.0.1:9/"
    path = tmp_path / "probe.yml"
    path.write_text(
        f"probes:\n  - {{name: a, url: '{url}', {protocol}}}\n"
        f"  - {{name: b, url: '{url}', {protocol}, {document}}}\n"
    )
    (advice,) = (text for text in lint_settings(load(path, environ={})) if "stream" in text)

    assert advice == (
        "a: the body has `stream: false`, but the probe expects a stream; write `stream: null` in"
        " the probe, or ask for a stream"
    )


@pytest.mark.parametrize(
    "request_keys",
    [
        {"protocol": {"openai-chat": {"model": "m", "prompt": "hi"}}},
        {"protocol": {"gemini": {"model": "m", "prompt": "hi", "max_tokens": 16}}},
        {
            "json": {"prompt": "hi", "max_tokens": 16},
            "stream": {"content": "$.text", "usage": {"output": "$.tokens"}},
        },
    ],
)
def test_more_expected_tokens_than_requested(tmp_path: Path, request_keys: dict[str, Any]) -> None:
    """No stream can have them: each probe would fail."""

    def token_advice(minimum: int) -> list[str]:
        probe = {"name": "a", "url": "http://127.0.0.1:9/", **request_keys}
        probe["expect"] = {"tokens": {"min": minimum}}
        advice = lint_settings(make_settings(tmp_path, probe))
        return [text for text in advice if "expect.tokens" in text]

    assert token_advice(16) == []
    (advice,) = token_advice(17)
    assert advice == (
        "a: `expect.tokens.min` is 17, but the request limits the output to 16 tokens, so every"
        " stream fails; lower it, or raise the limit, such as max_tokens"
    )


@pytest.mark.parametrize(
    ("interval", "safe_rate", "share", "advised"),
    [
        ("10s", "0.5/s", "20%", "20s"),
        ("100ms", "30/s", "33.3%", "400ms"),
        ("1m", "0.1/s", "16.7%", "1m40s"),
    ],
)
def test_a_probe_that_uses_the_capacity(
    tmp_path: Path, interval: str, safe_rate: str, share: str, advised: str
) -> None:
    """The probe of a slow endpoint is a considerable load. The advised interval is sufficient."""

    def capacity_advice(interval: str) -> list[str]:
        keys = {"interval": interval, "capacity": {"safe_rate": safe_rate}}
        advice = lint_settings(
            make_settings(tmp_path, {"name": "a", "url": "http://127.0.0.1:9/", **keys})
        )
        return [text for text in advice if "safe_rate" in text]

    (advice,) = capacity_advice(interval)
    assert advice == (
        f"a: the probe alone sends {share} of the `safe_rate` of its endpoint;"
        f" probe every {advised} or less often"
    )
    assert capacity_advice(advised) == []


def test_a_service_that_scales_to_zero(tmp_path: Path) -> None:
    """A probe keeps it from scaling to zero, unless it measures cold starts."""
    probe = {"name": "m", "url": "http://m", "interval": "10s"}
    advice = lint_settings(make_settings(tmp_path, {**probe, "cold": {"after_idle": "5m"}}))
    (text,) = [text for text in advice if "scaling to zero" in text]
    assert text.startswith(
        "m: a request every 10s keeps the service from scaling to zero after 5m without requests"
    )
    for cold in ({}, {"after_idle": "5m", "probe": True}):
        advice = lint_settings(make_settings(tmp_path, {**probe, "cold": cold}))
        assert not any("scaling to zero" in text for text in advice)
