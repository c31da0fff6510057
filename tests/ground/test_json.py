"""JSON with a checksum: what was written comes back, anything else is refused."""

import hashlib
import math
import pickle

import numpy as np
import pytest

from fanin import FileError, _json
from fanin._json import differences, from_any_json, from_json, loggable, parse_json, plain, to_json

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


def test_the_text_is_the_same_in_every_version():
    digest = hashlib.sha256(b'{"a": 1, ').hexdigest()
    assert to_json({"a": 1}) == b'{"a": 1, "sha256": "%b"}' % digest.encode()
    digest = hashlib.sha256(b'{\n "a": 1,\n ').hexdigest()
    assert to_json({"a": 1}, 1) == b'{\n "a": 1,\n "sha256": "%b"\n}' % digest.encode()
    assert to_json({}) == b'{"sha256": "%b"}' % hashlib.sha256(b"{").hexdigest().encode()


def test_numbers_that_json_does_not_have_are_not_written():
    for number in (math.nan, math.inf):
        with pytest.raises(ValueError, match="JSON"):
            to_json({"a": number})


def test_text_in_a_page_ends_no_script():
    record = {"</script>": "a < b"}
    assert b"<" in to_json(record)
    text = to_json(record, in_html=True)
    assert b"<" not in text
    assert from_json(text, "page") == record


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a": 1}', "expected a checksum at the end of the object, got none"),
        (b'{"a": "\\"sha256\\": \\""}', "expected a checksum at the end of the object, got none"),
        (b'{"a": {"sha256": "0"}}', "expected a checksum at the end of the object, got none"),
        (
            b'{"a": 1, "sha256":"%b"}' % hashlib.sha256(b"").hexdigest().encode(),
            "expected a checksum at the end of the object, got none",
        ),
        (to_json({"a": 1}).replace(b"1", b"2", 1), "changed since it was written"),
        (b"[1]", "expected an object of JSON, got a list"),
        (b'{"a": 1, "b": 2, "b": 3}', "'b' stands twice"),
        (b'{"a": -Infinity}', "expected finite numbers, got -Infinity"),
        (b'{"a": 1e999}', "expected finite numbers, got 1e999"),
    ],
)
def test_the_reason_is_told(text, reason):
    with pytest.raises(FileError) as caught:
        from_json(text, "file", "line 1: ")
    assert str(caught.value).startswith("file: line 1: ")
    assert reason in str(caught.value)


def test_an_earlier_version_had_no_checksum():
    assert from_any_json(b'{"a": 1.5}', "file", ["a", "b"]) == {"a": 1.5}
    assert from_any_json(to_json({"c": 1}), "file", ["a"]) == {"c": 1}
    with pytest.raises(FileError, match="or only the names of old; got 'c'"):
        from_any_json(b'{"a": 1, "c": 2, "d": 3}', "file", ["a"])
    with pytest.raises(FileError, match="changed"):
        from_any_json(to_json({"a": 1}).replace(b"1", b"2", 1), "file", ["a"])
    assert parse_json(b'{"a": [1, 2.5]}', "file") == {"a": [1, 2.5]}


class Thing:
    def __init__(self):
        self.size = 3


class Silent:
    def __repr__(self):
        raise RuntimeError


class Odd(str):
    __slots__ = ()

    def __str__(self):
        return "another"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (np.False_, False),
        (np.int8(4), 4),
        (-3, -3),
        (np.float32(0.5), 0.5),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (Odd("text"), "text"),
        ((1, [2.5, ()]), [1, [2.5, []]]),
        ({1: ("a",)}, {"1": ["a"]}),
        (dict, "builtins.dict"),
        (3 - 2j, "(3-2j)"),
        (Thing(), {f"{__name__}.Thing": {"size": 3}}),
    ],
)
def test_plain_values(value, expected):
    found = plain(value)
    assert (type(found), found) == (type(expected), expected)


def test_integers_that_python_reads_again():
    for longest in (10**4300 - 1, 1 - 10**4300):
        assert plain(longest) == longest
    for longer in (10**4300, -(10**4300)):
        with pytest.raises(ValueError, match="at most 4,300 digits"):
            plain(longer)
    assert _json.json_number(None) is None


def test_arrays_are_told_by_their_values(monkeypatch):
    array = np.arange(24, dtype=np.float32).reshape(4, 6)[:, ::2]
    digest = hashlib.sha256(array.tobytes()).hexdigest()
    for block in (_json.BLOCK, 7):
        monkeypatch.setattr(_json, "BLOCK", block)
        assert plain(array) == {"shape": [4, 3], "dtype": "float32", "sha256": digest}


def test_what_json_cannot_hold_is_refused_by_name():
    assert loggable("metric", {"a": 1}) == {"a": 1}
    for value in (Silent(), "\ud800", 10**4300, [{"a": Silent()}]):
        with pytest.raises(ValueError, match=r"^metric: expected what JSON can hold, got "):
            loggable("metric", value)


@pytest.mark.parametrize(
    ("found", "expected", "words"),
    [
        ({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 2}}, []),
        ({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}}, ["b.c is 2 there, 3 here"]),
        ({"a": 1}, {"b": 2}, ["a is 1 there, 'nothing' here", "b is 'nothing' there, 2 here"]),
        ({"X": {"sha256": "1"}}, {"X": {"sha256": "2"}}, ["X has other values"]),
        ({"X": {"sha256": "1"}}, {"X": {"sha256": "1"}}, []),
        ({"sha256": {"a": 1}}, {"sha256": 2}, ["sha256 is {'a': 1} there, 2 here"]),
        (
            {"f": {"source": ["a", "b", "c"]}},
            {"f": {"source": ["a", "d", "e"]}},
            ["line 2 of f is 'b' there, 'd' here"],
        ),
        (
            {"f": {"source": ["a"]}},
            {"f": {"source": ["a", "b"]}},
            ["line 2 of f is 'nothing' there, 'b' here"],
        ),
        ({"f": {"source": "a"}}, {"f": {"source": ["a"]}}, ["f.source is 'a' there, ['a'] here"]),
        ({"f": {"source": ["a"]}}, {"f": {"source": ["a"]}}, []),
        ([1, 2], [1, 3], [" is [1, 2] there, [1, 3] here"]),
    ],
)
def test_differences_in_words(found, expected, words):
    assert list(differences(found, expected)) == words
