"""What `check` says about tokens, cost and budgets."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from probe.check.output import render_json, render_text
from probe.check.plan import plan
from probe.result import BudgetKind, Phase
from probe.scheduler.spending import SpendingMeter
from probe.scheduler.token_estimate import estimate_tokens
from tests.builders import lint_settings, make_probe, make_result, make_settings
from tests.commands import invoke
from tests.fakes import FakeTime

BODY = {"prompt": "x" * 16, "max_tokens": 16}  # 4 + 16 tokens
PRICE = {"input": 1, "output": 2, "per": "1k", "currency": "EUR"}  # 0.036 for one request


def chat(**keys: Any) -> dict[str, Any]:
    return {"name": "chat", "url": "http://127.0.0.1:9/", "interval": "10s", "json": BODY, **keys}


def budget_advice(directory: Path, **keys: Any) -> list[str]:
    advice = lint_settings(make_settings(directory, chat(**keys)))
    return [text for text in advice if "no objectives" not in text]


@pytest.mark.parametrize(
    ("replicas", "line"),
    [
        (1, "per day: 8,640 requests, up to 172,800 tokens (4 of input and 16 of output each), "),
        (3, "per day of 3 replicas: 25,920 requests, up to 518,400 tokens (4 of input"),
    ],
)
def test_tokens_and_cost_of_a_day(tmp_path: Path, replicas: int, line: str) -> None:
    """`--replicas` multiplies them, because each daemon sends the requests of the schedule."""
    text = render_text(plan(make_settings(tmp_path, chat(price=PRICE)), replicas=replicas), "x")
    assert line in text
    assert f", {311.04 * replicas:.2f} EUR\n" in text


def test_json(tmp_path: Path) -> None:
    """Scripts get numbers, and when a budget would be exhausted."""
    keys = {"price": PRICE, "budget": {"tokens_per_day": "100k", "cost_per_day": 500}}
    document: Any = render_json(plan(make_settings(tmp_path, chat(**keys)), replicas=2))
    (probe,) = document["probes"]
    spending = probe["spending"]
    assert (spending["tokens_per_day"], spending["replicas"]) == (345_600, 2)
    assert spending["cost_per_day"] == pytest.approx(622.08)
    tokens, cost = spending["budgets"]
    assert (tokens["name"], tokens["exhausted_after_seconds"]) == ("tokens_per_day", 50_000)
    assert (cost["name"], cost["exhausted_after_seconds"]) == ("cost_per_day", None)
    plain: Any = render_json(plan(make_settings(tmp_path, chat())))
    assert plain["probes"][0]["spending"] is None


def test_a_schedule_that_exceeds_the_budget(tmp_path: Path) -> None:
    """The advice says when the budget is exhausted, and what to write instead."""
    (advice,) = budget_advice(tmp_path, budget={"tokens_per_day": "100k"})
    assert advice == (
        "chat: the schedule exceeds `tokens_per_day`, which is exhausted after 13h53m; then ticks"
        " are skipped until older requests leave the window; probe every 18s, or raise it to 180000"
    )
    assert "after 20m;" in budget_advice(tmp_path, budget={"requests_per_hour": 120})[0]
    price = {"price": PRICE}
    (advice,) = budget_advice(tmp_path, **price, budget={"cost_per_day": 12})
    assert "`cost_per_day`, which is exhausted after 56m;" in advice
    assert budget_advice(tmp_path, **price, budget={"cost_per_day": 320}) == []


@pytest.mark.parametrize("seconds", [7, 10, 60])
@pytest.mark.parametrize(
    ("kind", "budget"),
    [
        (BudgetKind.TOKENS_PER_DAY, {"tokens_per_day": 50_000}),
        (BudgetKind.REQUESTS_PER_HOUR, {"requests_per_hour": 100}),
    ],
)
def test_the_forecast_is_that_of_the_meter(
    tmp_path: Path, seconds: int, kind: BudgetKind, budget: dict[str, Any]
) -> None:
    """The first tick over the budget is skipped at the predicted time, or none in 50 hours."""
    keys = {"interval": f"{seconds}s", "budget": budget, "json": BODY}
    probe, time = make_probe(tmp_path, **keys), FakeTime()
    meter = SpendingMeter(probe, estimate_tokens(probe), time.clock())
    skipped_after = None
    for tick in range(50 * 3600 // seconds):
        reservation = meter.reserve()
        if reservation is None:
            skipped_after = tick * seconds
            break
        meter.settle(reservation, make_result(phases={Phase.SEND: 0.0}, status=200))
        time.advance(seconds)
    planned = plan(make_settings(tmp_path, {"name": "m", "url": "http://127.0.0.1:1/", **keys}))
    spending = planned.probes[0].spending
    assert spending
    (forecast,) = spending.budgets
    assert (forecast.kind, forecast.exhausted_after_seconds) == (kind, skipped_after)


def test_the_advised_values_are_sufficient(tmp_path: Path) -> None:
    """With the advised interval or limit, there is no advice."""
    budget = {"tokens_per_day": "100k"}
    assert budget_advice(tmp_path, interval="18s", budget=budget) == []
    assert budget_advice(tmp_path, budget={"tokens_per_day": 180_000}) == []


def test_limits_that_no_request_fits_in(tmp_path: Path) -> None:
    """Such a probe would never run."""
    (advice,) = budget_advice(tmp_path, budget={"tokens_per_day": 19})
    assert advice == "chat: `tokens_per_day` is less than one request may take; raise it"


def test_requests_without_a_limit_or_a_body(tmp_path: Path) -> None:
    """Their tokens are not known, so the price and the budget need a correction."""
    (advice,) = budget_advice(tmp_path, price=PRICE, json={"prompt": "x"})
    assert "does not limit its output, so 1024 tokens are assumed" in advice
    (advice,) = budget_advice(tmp_path, price=PRICE, json=None)
    assert advice == "chat: the request has no body, so it has no tokens that count"


def test_a_price_without_output(tmp_path: Path) -> None:
    """Its default of 0 is right only for requests that generate nothing, such as embeddings."""
    price = {"input": 1, "currency": "EUR"}
    (advice,) = budget_advice(tmp_path, price=price)
    assert advice == ("chat: `price` has no `output`, so generated tokens cost nothing; write it")
    assert budget_advice(tmp_path, price={**price, "output": 0}) == []
    assert budget_advice(tmp_path, price=price, json={"input": "x"}) == []


def test_the_flag(tmp_path: Path) -> None:
    """`--replicas` is a positive number."""
    path = tmp_path / "probe.yml"
    make_settings(tmp_path, chat(budget={"requests_per_hour": 400}))
    done = invoke("check", str(path), "--replicas=4")
    assert "per day of 4 replicas: 34,560 requests\n" in done.stdout
    done = invoke("check", str(path), "--replicas=0")
    assert (done.returncode, "expected a number from 1 to 999999" in done.stderr) == (2, True)


def test_costs_are_exact(tmp_path: Path) -> None:
    """Prices are decimal numbers, as they are written."""
    probe = make_probe(tmp_path, price={"input": 0.1, "output": 0.2, "currency": "EUR"})
    assert probe.price
    assert probe.price.cost(input_tokens=3, output_tokens=0) == Decimal("3e-7")
