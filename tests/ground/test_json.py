"""JSON with a checksum: what was written comes back, anything else is refused."""

import pickle

import pytest

from fanin import FileError
from fanin._json import from_json, to_json

RECORDS = [{}, {"a": 1, "b": [1.5, 'sha256": "']}, {"nested": {"sha256": "0" * 64}}]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("record", RECORDS)
def test_no_flipped_bit_is_silent(record, indent):
    text = to_json(record, indent)
    assert from_json(text, "file") == record
    for bit in range(8 * len(text)):
        changed = bytearray(text)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = from_json(bytes(changed), "file")
        except FileError:
            continue
        assert found == record  # one blank for another


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"[" * 100_000, b'{"a": NaN}', b'{"a": 1e999}', b'{"a": 1, "a": 2}', b"\xff",
     b'{"a": ' + b"9" * 5000 + b"}", b'{"a": 1}'],
)  # fmt: skip
def test_what_is_no_such_object_is_refused_by_path_and_place(text):
    with pytest.raises(FileError, match=r"^log\.jsonl: line 3: expected ") as caught:
        from_json(text, "log.jsonl", "line 3: ")
    assert caught.value.path == "log.jsonl"


def test_the_error_survives_a_pickle():
    error = pickle.loads(pickle.dumps(FileError("a.fanin", "cut short")))
    assert (str(error), error.path, error.reason) == ("a.fanin: cut short", "a.fanin", "cut short")
