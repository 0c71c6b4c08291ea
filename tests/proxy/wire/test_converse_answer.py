"""Converse's form, from documents and events that make little sense too."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.converse_answer import ConverseAnswer, delta_text

ODD = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["output", "message", "content", "toolUse", "start", "delta", "usage"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


def test_an_answer_without_its_end_says_nothing_of_calls():
    answer = ConverseAnswer()
    answer.take_event("contentBlockStart", {"start": {"toolUse": {"name": "weather"}}})
    assert (answer.tool_names, answer.tool_call_count) == (("weather",), None)
    assert ConverseAnswer().tool_names is None


@given(st.dictionaries(st.sampled_from(["output", "usage", "trace", "stopReason"]), ODD), ODD)
def test_odd_documents_and_events_do_no_harm(document, event):
    answer = ConverseAnswer()
    answer.take_document(document)
    for name in ("contentBlockStart", "messageStop", "metadata", None):
        answer.take_event(name, event)
    assert answer.usage is None or answer.usage.raw
    assert isinstance(answer.text(), str)
    assert isinstance(delta_text(event), str)
    assert answer.finish_reasons is None or answer.finish_reasons[0]
    assert (answer.model, answer.service_tier, answer.tool_names) is not None
