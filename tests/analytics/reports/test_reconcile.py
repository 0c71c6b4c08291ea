from __future__ import annotations

import csv
import io
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from analytics.reports.bills import BadBill, Bill, Line, read_bill
from analytics.reports.reconcile import Reconciled, reconcile
from analytics.reports.recorded import model_key
from tests.analytics.reports.conftest import AT, Open, Sample, exchange

DAY = AT.date()
PRICE = Decimal("0.0035")


def one(bill: Bill) -> Line:
    assert len(bill.lines) == 1
    return bill.lines[0]


def page(start: Any, *results: dict[str, Any], name: str = "start_time") -> bytes:
    bucket = {"object": "bucket", name: start, "results": list(results)}
    return orjson.dumps({"object": "page", "data": [bucket], "has_more": False})


def test_openai_usage() -> None:
    result = {
        "object": "organization.usage.completions.result",
        "input_tokens": 5000,
        "input_cached_tokens": 4000,
        "output_tokens": 1000,
        "num_model_requests": 5,
        "model": "gpt-4o-2024-08-06",
    }
    bill = read_bill(page(1793534400, result))
    assert bill.provider == "openai"
    line = one(bill)
    assert (line.day, line.model) == (date(2026, 11, 1), "gpt-4o-2024-08-06")
    assert (line.input_tokens, line.output_tokens, line.requests) == (5000, 1000, 5)
    assert line.cost_usd is None


def test_openai_costs() -> None:
    result = {
        "object": "organization.costs.result",
        "amount": {"value": 0.06, "currency": "usd"},
        "line_item": "gpt-4o-2024-08-06, input",
    }
    line = one(read_bill(page(1793534400, result)))
    assert (line.model, line.cost_usd) == ("gpt-4o-2024-08-06", Decimal("0.06"))


def test_anthropic_usage_adds_up_its_classes_of_input() -> None:
    result = {
        "uncached_input_tokens": 1500,
        "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
        "cache_read_input_tokens": 200,
        "output_tokens": 500,
        "model": "claude-opus-4-1-20250805",
    }
    bill = read_bill(page("2026-11-01T00:00:00Z", result, name="starting_at"))
    assert bill.provider == "anthropic"
    assert (one(bill).input_tokens, one(bill).output_tokens) == (3200, 500)


def test_anthropic_costs_are_in_cents() -> None:
    result = {"currency": "USD", "amount": "123.78912", "cost_type": "tokens", "model": "claude"}
    line = one(read_bill(page("2026-11-01T00:00:00Z", result, name="starting_at")))
    assert line.cost_usd == Decimal("1.2378912")


def test_anthropic_csv() -> None:
    text = (
        "usage_date_utc,model_version,usage_input_tokens_no_cache,"
        "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,"
        "usage_input_tokens_cache_read,usage_output_tokens\n"
        "2026-11-01,claude-haiku-4-5-20251001,10,20,30,40,5\n"
    )
    bill = read_bill(text.encode())
    assert bill.provider == "anthropic"
    assert (one(bill).input_tokens, one(bill).output_tokens) == (100, 5)


def test_google_billing_csv() -> None:
    text = (
        "Service description,SKU description,Usage start date,Usage amount,Cost ($)\n"
        'Gemini API,Gemini 2.5 Pro input token count,2026-11-01,"1,000","1,234.50"\n'
    )
    bill = read_bill(text.encode(), {"cost_usd": "Cost ($)"})
    assert bill.provider == "google"
    assert one(bill).cost_usd == Decimal("1234.50")


def test_any_csv_by_its_headers_or_by_mapped_ones() -> None:
    plain = read_bill(b"Date;Model;Cost (USD)\n2026/11/01;gpt-4o;$1.50\n\n")
    assert one(plain) == Line(day=date(2026, 11, 1), model="gpt-4o", cost_usd=Decimal("1.50"))
    mapped = read_bill(
        b"Tag,Modell,Betrag\n2026-11-01,gpt-4o,2\n",
        {"day": "Tag", "model": "Modell", "cost_usd": "Betrag"},
    )
    assert one(mapped).cost_usd == 2


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"{", "is none"),
        (b'{"data": []}', "no `results`"),
        (b"a,b\n1,2\n", "no column says the day"),
        (b"date,model\n2026-11-01,x\n", "no column says tokens or cost"),
        (b"date,cost\nsoon,1\n", "line 2: 'soon' is no day"),
        (b"date,cost\n2026-11-01,much\n", "line 2: 'much' is no number"),
        (b"date,cost,currency\n2026-11-01,1,EUR\n", "amounts are in EUR"),
        (b"date,cost\n2026-11-01,NaN\n", "is no number"),
    ],
)
def test_what_cannot_be_read_is_told(data: bytes, told: str) -> None:
    with pytest.raises(BadBill, match=told):
        read_bill(data)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("gpt-4.1-2025-04-14", "gpt-4-1"),
        ("models/gemini-2.5-pro", "gemini-2-5-pro"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("mistral-small-latest", "mistral-small"),
        ("gpt-4o", "gpt-4o"),
    ],
)
def test_model_names_lose_date_and_prefix(name: str, key: str) -> None:
    assert model_key(name) == key


def bill(*lines: Line) -> Bill:
    return Bill(kind="CSV", provider=None, lines=list(lines))


def line(usd: str | None = None, **more: Any) -> Line:
    given: dict[str, Any] = {"day": DAY, "model": "gpt-4o-2024-08-06"} | more
    return Line(cost_usd=None if usd is None else Decimal(usd), **given)


def against(stored: Open, given: Bill, *exchanges: Any, **more: Any) -> Reconciled:
    with stored(*exchanges) as con:
        return reconcile(con, given, **more)


def verdict(found: Reconciled) -> str:
    assert len(found.rows) == 1
    return str(found.rows["verdict"][0])


def dear(**more: Any) -> Any:
    """An exchange of $35, so that no difference here is a small one."""
    return exchange(input_tokens=10_000_000, output_tokens=1_000_000, **more)


def test_what_agrees_is_the_same_whatever_the_models_date(stored: Open) -> None:
    found = against(stored, bill(line("35")), dear())
    assert verdict(found) == "same"
    assert found.summary["verdict"].to_list() == ["same", "all"]


def test_what_only_one_side_has_is_missing_on_the_other(stored: Open) -> None:
    found = against(stored, bill(line("1", model="gpt-4.1")), dear())
    assert dict(found.rows.select("model", "verdict").rows()) == {
        "gpt-4-1": "missing_here",
        "gpt-4o": "missing_there",
    }
    assert found.summary.row(-1, named=True)["difference_usd"] == Decimal(-34)


def test_a_price_difference_is_told_from_one_of_tokens(stored: Open) -> None:
    tokens: dict[str, Any] = {"input_tokens": 10_000_000, "output_tokens": 1_000_000}
    dearer = against(stored, bill(line("42", **tokens)), dear())
    assert verdict(dearer) == "price"
    row = dearer.rows.row(0, named=True)
    assert (row["tokens_usd"], row["price_usd"]) == (0, 7)


def test_more_tokens_there_are_traffic_past_the_proxy(stored: Open) -> None:
    more: dict[str, Any] = {"input_tokens": 12_000_000, "output_tokens": 1_000_000}
    found = against(stored, bill(line("40", **more)), dear())
    assert verdict(found) == "tokens"
    row = found.rows.row(0, named=True)
    assert (row["tokens_usd"], row["price_usd"]) == (5, 0)


def test_unpriced_exchanges_explain_a_lower_sum_here(stored: Open) -> None:
    unpriced = dear(
        cost_usd=None, input_cost_usd=None, output_cost_usd=None, cost_status="unpriced"
    )
    assert verdict(against(stored, bill(line("35")), unpriced)) == "unpriced"


def test_a_difference_within_what_is_estimated_is_no_riddle(stored: Open) -> None:
    found = against(stored, bill(line("30")), dear(cost_status="estimated"))
    assert verdict(found) == "estimated"


def test_costs_without_tokens_differ_and_no_more_is_said(stored: Open) -> None:
    assert verdict(against(stored, bill(line("30")), dear())) == "differs"


def test_tokens_alone_can_agree(stored: Open) -> None:
    given = bill(line(None, input_tokens=1000, output_tokens=100))
    assert verdict(against(stored, given, exchange())) == "same"
    assert verdict(against(stored, bill(line(None, input_tokens=9)), exchange())) == "tokens"


@pytest.mark.parametrize(
    ("billed", "told"), [(1000, "estimated"), (900, "tokens"), (2000, "same"), (3100, "tokens")]
)
def test_tokens_alone_can_differ_by_what_is_estimated(stored: Open, billed: int, told: str) -> None:
    guessed = exchange(cost_status="estimated", output_tokens=0)
    given = bill(line(None, input_tokens=billed))
    assert verdict(against(stored, given, exchange(), guessed)) == told


def test_a_bill_without_models_is_compared_by_day(stored: Open) -> None:
    other = dear(request_model="gpt-4.1")
    assert verdict(against(stored, bill(line("70", model=None)), dear(), other)) == "same"


def test_only_the_billing_provider_is_compared(stored: Open) -> None:
    given = Bill(kind="CSV", provider="google", lines=[line("35", model=None)])
    ours = dear(provider="vertex", request_model="gemini-2.5-pro")
    assert verdict(against(stored, given, ours, dear())) == "same"


def test_a_line_item_means_the_longest_model_in_it(stored: Open) -> None:
    ours = [dear(request_model="gemini-2.5-flash"), dear(request_model="gemini-2.5-flash-lite")]
    given = bill(line("35", model="Gemini 2.5 Flash-Lite output"))
    found = against(stored, given, *ours)
    assert dict(found.rows.select("model", "verdict").rows()) == {
        "gemini-2.5-flash": "missing_there",
        "gemini-2.5-flash-lite": "same",
    }


def test_an_empty_bill_has_no_rows(stored: Open) -> None:
    found = against(stored, bill(), exchange())
    assert found.rows.is_empty()


def by_day(sample: Sample, hours: int) -> dict[tuple[date, str], list[Any]]:
    """OpenAI's own sums, with days that are ahead of UTC."""
    sums: dict[tuple[date, str], list[Any]] = defaultdict(lambda: [0, 0, 0, Decimal(0)])
    for each in sample.ledger.exchanges:
        if each["provider"] != "openai" or each["tokens"] is None:
            continue
        at = datetime.fromisoformat(each["started_at"]) + timedelta(hours=hours)
        row = sums[at.date(), each["served_model"] or each["model"]]
        row[0] += 1
        row[1] += each["tokens"]["input"]
        row[2] += each["tokens"]["output"] or 0
        row[3] += Decimal(each["cost_usd"] or 0)
    return sums


def as_csv(sums: dict[tuple[date, str], list[Any]], first: date, last: date) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["Date", "Model", "Requests", "Input tokens", "Output tokens", "Cost (USD)"])
    for (day, model), row in sorted(sums.items()):
        if first <= day <= last:
            writer.writerow([day, model, *row])
    return out.getvalue().encode()


@pytest.mark.parametrize("hours", [0, -8, 9])
def test_a_bill_of_the_same_traffic_agrees_in_any_time_zone(sample: Sample, hours: int) -> None:
    day = sample.first_day.date()
    data = as_csv(by_day(sample, hours), day + timedelta(days=2), day + timedelta(days=25))
    with sample.opened() as con:
        found = reconcile(con, read_bill(data), provider="openai")
    assert found.offset == timedelta(hours=hours)
    assert set(found.rows["verdict"]) == {"same"}
    assert found.summary.row(-1, named=True)["difference_usd"] == 0


def test_a_given_offset_is_not_argued_with(sample: Sample) -> None:
    day = sample.first_day.date()
    data = as_csv(by_day(sample, -8), day + timedelta(days=2), day + timedelta(days=25))
    with sample.opened() as con:
        found = reconcile(con, read_bill(data), provider="openai", offset=timedelta())
    assert not found.offset_is_found
    assert "tokens" in set(found.rows["verdict"])
