"""Members have one meaning in either spelling."""

from proxy.wire.snake_case import camel_case, member


def test_a_member_is_found_by_either_name():
    assert member({"topK": 1}, "topK") == 1
    assert member({"top_k": 2}, "topK") == 2
    assert member({"topK": 1, "top_k": 2}, "topK") == 1
    assert member([], "topK") is None


def test_all_names_of_a_document_become_camel_case():
    document = {"a_b": [{"c_d_e": "f_g"}], "hI": {"j": None}}
    assert camel_case(document) == {"aB": [{"cDE": "f_g"}], "hI": {"j": None}}
