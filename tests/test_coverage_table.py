"""The cells of the README's coverage table, in numbers: what each exchange's row must hold."""

from __future__ import annotations

import pytest

from analytics import schema
from tests import coverage_table
from tests.support.exchanges_read import Said, everything

SAID = list(everything())
# All exchanges that report these counts report the same: 100 in, of which 64 (Anthropic: 60)
# cached, 40 out, of which 16 reasoning.
COUNTED_OTHERWISE = {
    ("embedContent", "whole"): (3, None),
    ("predict (embeddings)", "whole"): (3, None),
    ("embed", "whole"): (3, None),
    ("completions", "whole"): (4, 2),
    ("completions", "stream"): (4, 2),
    ("images", "whole"): (20, 100),
    ("images", "stream"): (20, 100),
    ("transcriptions", "whole"): (26, 4),
    ("transcriptions", "stream"): (26, 4),
    ("transcriptions by duration", "whole"): (None, None),
    ("speech", "stream"): (6, 40),
    ("speech by characters", "whole"): (None, None),
    ("moderations", "whole"): (None, None),
}
OF_A_PROVIDER = {
    ("openai", "batch results"): (200, 80),
    ("openai", "embeddings"): (3, 0),
    ("azure", "embeddings"): (3, 0),
    ("voyageai", "embeddings"): (3, None),
    ("cohere", "rerank"): (None, None),
    ("voyageai", "rerank"): (9, None),
}


def ids(said: Said) -> str:
    return f"{said.provider} {said.endpoint} {said.framing}"


@pytest.mark.parametrize("said", SAID, ids=ids)
def test_a_row_holds_what_the_provider_reported(said: Said) -> None:
    row = coverage_table.row_of(said)
    default = COUNTED_OTHERWISE.get((said.endpoint, said.framing), (100, 40))
    expected = OF_A_PROVIDER.get((said.provider, said.endpoint), default)
    assert (row.input_tokens, row.output_tokens) == expected
    assert row.cache_read_tokens in (None, 0, 60, 64, 128)
    assert row.reasoning_tokens in (None, 0, 16, 32)
    assert row.cache_write_tokens in (None, 0, 20)
    assert row.tool_names in (None, [], ["look"])
    assert row.parse_error is None
    assert row.dialect is not None
    assert row.outcome == "completed"


def test_no_exchange_is_told_twice() -> None:
    assert len({ids(said) for said in SAID}) == len(SAID)


def test_framings_of_an_endpoint_give_the_same_row() -> None:
    told_by_framing = {"stream", "path", "response_bytes", "usage_raw", "parse_error"}
    names = [f.name for f in schema.columns(schema.Exchange) if f.name not in told_by_framing]
    rows: dict[tuple[str, str], object] = {}
    for said in SAID:
        row = coverage_table.row_of(said)
        values = {name: getattr(row, name) for name in names}
        first = rows.setdefault((said.provider, said.endpoint), values)
        assert values == first, ids(said)


def test_the_table_has_a_line_per_endpoint() -> None:
    text = coverage_table.markdown()
    assert len(text.splitlines()) == len({(s.provider, s.endpoint) for s in SAID}) + 2
    cells = next(line for line in text.splitlines() if line.startswith("| `openrouter`"))
    everything_read = "| yes | yes | yes | yes | yes | reported |"
    assert cells == f"| `openrouter` | chat completions | whole, stream {everything_read}"
