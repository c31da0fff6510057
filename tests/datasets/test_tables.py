"""Tables of text: what is read, what is asked about, and what is refused with its line."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import math
import string
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fanin import datasets

pytestmark = pytest.mark.usefixtures("no_data_of_this_machine")
settings.register_profile(
    "files",
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FILES = settings.get_profile("files")


@pytest.fixture
def table(tmp_path):
    """Writes a table, of text or bytes, and gives its path."""

    def write(content, name="d.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def rows(labels, header="a,b,y", separator=",", end="\n"):
    """Lines of two numbers and a label each."""
    lines = [header] if header else []
    lines += [separator.join([f"{i}.5", str(i), str(one)]) for i, one in enumerate(labels)]
    return end.join(lines) + end


def names(path, **options):
    return datasets.load(path, return_info=True, **options)[2].class_names


# Labels


@pytest.mark.parametrize(
    "labels",
    [
        ("00501", "10001"),
        ("007", "08"),
        ("+1", "2"),
        ("1e3", "10"),
        ("0x1", "0x2"),
        ("1_0", "2_0"),
        ("-1", "1"),
        ("yes", "no"),
        ("None of it", "none"),
        ("Île-de-France", "Ö"),
        ('say "hi"', "a, b"),
        ("=1+1", "#"),
        ("9223372036854775808", "1"),
        ("true", "false"),
        ("1.0", "2.0"),
    ],
)
def test_labels_keep_their_text(table, labels):
    cells = [f'"{one.replace(chr(34), chr(34) * 2)}"' for one in labels * 6]
    assert set(names(table(rows(cells)))) == set(labels)


@pytest.mark.parametrize(
    "labels", [("1", "1.0", "2"), ("7", "007", "x"), ("Yes", "yes", "no"), ("é", "e\u0301", "x"),
               ("a", "a\u200b", "b")],
)  # fmt: skip
def test_labels_that_look_alike_are_kept_apart_and_told(table, labels):
    with pytest.warns(UserWarning, match="labels that look alike are kept apart") as told:
        assert set(names(table(rows(labels * 5)))) == set(labels)
    assert all(repr(one) in str(told[0].message) for one in labels[:2])


def test_whole_numbers_are_sorted_as_numbers_and_far_ones_are_mapped(table):
    assert names(table(rows([9, 10, -1] * 5))) == ("-1", "9", "10")
    (_, y), _, info = datasets.load(table(rows([0, 100000] * 9)), return_info=True)
    assert info.class_names == ("0", "100000")
    assert set(y.tolist()) == {0, 1}


@pytest.mark.parametrize("gap", ["", "NaN", "nan", "NA", "N/A", "NULL", "None", "?", "<NA>"])
@pytest.mark.parametrize("others", [("a", "b"), ("0", "1")])
def test_a_gap_among_labels_is_refused_with_its_line(table, gap, others):
    labels = [*others * 4, gap, *others]
    with pytest.raises(ValueError, match=r"d\.csv, line 10, column 'y': no value"):
        datasets.load(table(rows(labels)))


label_text = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029"), min_size=1
).map(lambda text: " ".join(text.split()))


@FILES
@given(labels=st.lists(label_text, min_size=2, max_size=6, unique=True), repeats=st.integers(2, 4))
def test_any_label_comes_back_or_is_refused(tmp_path, labels, repeats):
    path = tmp_path / "d.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "y"])
        writer.writerows([i, one] for i, one in enumerate(labels * repeats))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            (_, y), (_, y_test), info = datasets.load(path, return_info=True, test_size=0.5)
        except ValueError as error:
            assert "no value" in str(error) or "different numbers" in str(error)  # noqa: PT017
            return
    assert set(info.class_names) == set(labels)
    assert len(y) + len(y_test) == len(labels) * repeats


@FILES
@given(
    st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=4), max_size=8),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, "classification", "regression"]),
)
def test_any_text_is_read_or_refused(tmp_path, cells, end, header, task):
    path = tmp_path / "d.csv"
    text = end.join(",".join(row) for row in cells)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            (X, y), (X_test, _) = datasets.load(path, header=header, task=task)
        except ValueError as error:
            assert "d.csv" in str(error) or str(error).startswith("y:")  # noqa: PT017
            return
    assert np.isfinite(X).all()
    assert len(X) == len(y)
    assert X.shape[1:] == X_test.shape[1:]


@FILES
@given(
    st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**50), 2**50)),
        min_size=4,
        max_size=20,
    )
)
def test_numbers_come_back(tmp_path, values):
    path = tmp_path / "d.csv"
    lines = [f"{a!r},{b},{i % 2}" for i, (a, b) in enumerate(values)]
    path.write_text("\n".join(["a,b,y", *lines]))
    train, test = datasets.load(path)
    got = sorted(map(tuple, np.vstack([train[0], test[0]]).tolist()))
    assert got == sorted((a, float(b)) for a, b in values)


# The first line


@pytest.mark.parametrize("first", ["5.1,3.5,setosa", "1,2,3", "width,2,kind", "a,NA,y", "a,?,y"])
def test_a_first_line_that_may_be_data_is_asked_about(table, first):
    path = table(rows(["s", "t"] * 5, header=first))
    with pytest.raises(ValueError, match=r"expected names in the first line.*--no-header.*--head"):
        datasets.load(path)
    *_, info = datasets.load(path, header=True, return_info=True)
    assert info.feature_names == tuple(first.split(",")[:2])


def test_without_a_header_no_row_is_lost(table):
    path = table(rows(["s", "t"] * 5, header=None))
    (X, _), (X_test, _), info = datasets.load(path, header=False, return_info=True)
    assert sorted([*X[:, 1], *X_test[:, 1]]) == list(range(10))
    assert info.feature_names == ("column_1", "column_2")
    assert info.target == "column_3"
    flipped = table("".join(f"{'st'[i % 2]};{i}\n" for i in range(10)), "flip.csv")
    *_, info = datasets.load(flipped, header=False, target="column_1", return_info=True)
    assert info.feature_names == ("column_2",)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a,a,y", "line 1: expected different column names, got 'a' twice"),
        ("a, a ,y", "'a' twice"),
        (",b,y", "column 1 has no name"),
        ("a,b,", "column 3 has no name"),
        ("a,b", "line 2: expected 2 values, got 3"),
    ],
)
def test_headers_that_do_not_fit(table, header, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(table(rows("ab" * 5, header=header)))


# What cuts the text


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n", "\r\n \r\n"])
def test_delimiters_and_line_ends(table, separator, end):
    header = separator.join("aby")
    path = table(rows("st" * 6, header, separator, end))
    (X, _), _, info = datasets.load(path, return_info=True)
    assert X.shape == (10, 2)
    assert info.class_names == ("s", "t")


def test_tabs_have_a_suffix_and_spaces_are_named(table):
    assert names(table(rows("st" * 6, "a\tb\ty", "\t"), "d.tsv")) == ("s", "t")
    spaced = table(rows("st" * 6, "a  b y", "  "))
    with pytest.raises(ValueError, match="another delimiter"):
        datasets.load(spaced)
    assert names(spaced, delimiter=" ") == ("s", "t")


def test_a_decimal_comma_is_asked_about(table):
    text = "a;b;y\n" + "".join(f"{i},5;1,25;{'st'[i % 2]}\n" for i in range(10))
    with pytest.raises(ValueError, match=r"line 2, column 'a'.*'0,5'; decimal=','"):
        datasets.load(table(text))
    (X, _), _ = datasets.load(table(text), decimal=",")
    assert set(X[:, 1]) == {1.25}
    thousands = text.replace("1,25", "1.250,5")
    with pytest.raises(ValueError, match=r"column 'b': expected a finite number, got '1\.250,5'"):
        datasets.load(table(thousands), decimal=",")
    with pytest.raises(ValueError, match=r"column 'b'.*got '1\.250'"):
        datasets.load(table(text.replace("1,25", "1.250")), decimal=",")


def test_columns_are_left_out_by_name(table):
    path = table(rows("st" * 6))
    (X, _), _ = datasets.load(path)
    (kept, _), _, info = datasets.load(path, drop=["a"], return_info=True)
    assert info.feature_names == ("b",)
    assert np.array_equal(kept, X[:, 1:])
    for wrong in ("a", [1]):
        with pytest.raises(TypeError, match="drop: expected names of columns"):
            datasets.load(path, drop=wrong)


def test_two_delimiters_that_both_fit_are_asked_about(table):
    text = "".join(f"{i},5;1,25;{'st'[i % 2]}\n" for i in range(10))
    with pytest.raises(ValueError, match="delimiter: expected one, got ',' and ';'"):
        datasets.load(table(text), header=False)
    (X, _), _ = datasets.load(table(text), header=False, decimal=",")
    assert X.shape[1] == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_encodings(table, encoding):
    path = table(rows(["ä", "ö"] * 5), encoding=encoding)
    if encoding == "utf-8-sig":
        assert names(path) == ("ä", "ö")
        assert datasets.load(path, return_info=True)[2].feature_names == ("a", "b")
    else:
        with pytest.raises(ValueError, match=r"d\.csv: expected UTF-8 text .*name its encoding"):
            datasets.load(path)
    assert names(path, encoding=encoding) == ("ä", "ö")


def zipped(data):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("d.csv", data)
    return file.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zipped])
def test_a_packed_table_is_to_be_unpacked(table, pack):
    with pytest.raises(ValueError, match=r"d\.csv: expected a table.* a \w+ file; unpack it"):
        datasets.load(table(pack(rows("ab" * 5).encode())))


def test_a_wrong_byte_is_refused_with_its_line(table):
    path = table(rows("st" * 5).encode() + b"1,2,\xff\n")
    with pytest.raises(ValueError, match="invalid start byte, line 12"):
        datasets.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a,b,y\n1,2,s\n3,4,"t\n5,6,s\n', "line 3: unexpected end of data: a quote that is never"),
        ('a,b,y\n1,2,s\n3,"4,t\n5,6,s\n', "line 3: .*a quote that is never closed"),
        ('a,b,y\n1,2,s\n3,4,"t\n5,6,s"\n', "line 3, column 'y': .*a quote that is not closed"),
        ('a,b,y\n1,2,s\n3,"4"5,t\n', "line 3: "),
        ('a,"b,y\n1,2,s\n3,4,t\n', "line 1: unexpected end of data"),
        ("a,b,y\n1,2,s\n\n\n3,4,t,5\n", "line 5: expected 3 values, got 4"),
        ("a,b,y\n1,2,s\n3,t\n", "line 3: expected 3 values, got 2"),
        ("a,b,y\n1,2,s\n,,\n", "line 3, column 'a': no value"),
        ("a,b,y\n1,red,s\n", "line 2, column 'b': expected a finite number, got 'red'"),
        ("a,b,y\n1,1_000,s\n", "line 2, column 'b': .*got '1_000'"),
        ("a,b,y\n1,\u0661,s\n", "line 2, column 'b': expected a finite number"),
        ("a,b,y\n1,1e999,s\n", "line 2, column 'b': expected a finite number, got '1e999'"),
        ("a,b,y\n1,2,s\0\n3,4,t\n", "line 2, column 'y': .*NUL"),
        ("a,b,y\n1," + "2" * 200_000 + ",s\n", "line 2: field larger than field limit"),
        ("a,b,y\n1," + "x" * 9000 + ",s\n", r"line 2, column 'b': .*got 'x{40}\.\.\.'"),
        ('a,b,y\n1,"1,234",s\n', "got '1,234'; marks of thousands .* or say decimal=','"),
        ('a,b,y\n1,"1,234.5",s\n', "got '1,234.5'; marks of thousands are not read: remove them$"),
        ('a,b,y\n1,"1,5",s\n', "decimal=',' .* reads , as the decimal mark"),
        ("a,b,y\n1,2,NaT\n", r"column 'y': no value \('NaT'\)"),
        ("a,b,y\n1,2,#DIV/0!\n", r"column 'y': no value \('#DIV/0!'\)"),
        ("a,b,y\n", "at least one row"),
        ("\n\n", "expected a header line, got an empty file"),
        ("\ufeff", "expected a header line, got an empty file"),
    ],
)
def test_refused_with_the_line(table, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        datasets.load(table(text))
    assert "d.csv" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "klingon"}, "encoding: expected one of text that Python knows"),
        ({"encoding": "rot13"}, "encoding: expected"),
        ({"encoding": "hex"}, "encoding: expected"),
        ({"delimiter": ";;"}, "delimiter: expected one character"),
        ({"delimiter": ""}, "delimiter: expected one character"),
        ({"delimiter": '"'}, "delimiter: expected one character"),
        ({"delimiter": ",", "decimal": ","}, "delimiter: expected one character"),
        ({"decimal": "x"}, "decimal: expected one of"),
        ({"task": "ranking"}, "task: expected one of classification, regression"),
        ({"target": "z"}, "target: expected one of a, b, y; got 'z'"),
        ({"label": "z"}, "label: expected one of a, b, y; got 'z'"),
        ({"label": "y", "target": "y"}, "label: another name of target"),
        ({"image_size": 8}, "image_size: only images"),
        ({"drop": ["z"]}, "drop: expected names among a, b, y; got 'z'"),
        ({"drop": ["y"]}, "drop: expected other columns than the target, got 'y'"),
        ({"drop": ["a", "b"]}, "expected at least one feature column, got none beside the target"),
    ],
)
def test_options_that_do_not_fit(table, options, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(table(rows("st" * 5)), **options)


@pytest.mark.parametrize(
    "option", [{"header": True}, {"delimiter": ";"}, {"encoding": "latin-1"}, {"decimal": ","},
               {"drop": ["a"]}],
)  # fmt: skip
def test_options_of_tables_are_of_tables(option):
    with pytest.raises(ValueError, match=r"only a \.csv file has one, got 'digits'"):
        datasets.load("digits", **option)


# Classes or values


@pytest.mark.parametrize("values", [range(150), [i / 4 for i in range(150)], [0.5, 1.5]])
def test_numbers_that_may_be_values_are_asked_about(table, values):
    values = list(values)
    path = table(rows(values * 4))
    with pytest.raises(ValueError, match=r"different numbers.*task='classification' or task='reg"):
        datasets.load(path)
    assert len(names(path, task="classification")) == len(values)
    (_, y), (_, y_test), info = datasets.load(path, task="regression", return_info=True)
    assert y.dtype == y_test.dtype == np.float64
    assert sorted([*y, *y_test]) == sorted(values * 4)
    assert (info.task, info.class_names) == ("regression", ())


def test_postcodes_are_no_numbers(table):
    codes = [f"{i:05}" for i in range(501, 551)]
    assert set(names(table(rows(codes * 2)))) == set(codes)


def test_npz_asks_too(tmp_path):
    X, y = np.zeros((400, 2)), np.arange(400) % 150
    np.savez(tmp_path / "d.npz", X=X, y=y)
    with pytest.raises(ValueError, match="150 different numbers in 400 rows; classes or values"):
        datasets.load(tmp_path / "d.npz")
    (_, values), _ = datasets.load(tmp_path / "d.npz", task="regression")
    assert values.dtype == np.float64
    np.savez(tmp_path / "d.npz", X=X, y=y / 7)
    with pytest.raises(TypeError, match="task='regression'"):
        datasets.load(tmp_path / "d.npz")
    datasets.load(tmp_path / "d.npz", task="regression")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,y\n1,2\n2,red\n", "line 3, column 'y': expected a finite number, got 'red'"),
        ("a,y\n1,2\n2,NA\n", "line 3, column 'y': no value"),
        ("a,y\n1,2\n2,inf\n", "line 3, column 'y': expected a finite number"),
        ("a,y\n1,2\n2,2\n3,2\n", r"at least two values, got one \(2\.0\)"),
    ],
)
def test_values_that_do_not_fit(table, text, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(table(text), task="regression")


def test_named_data_have_classes():
    with pytest.raises(ValueError, match="task: expected classification of digits"):
        datasets.load("digits", task="regression")


# Rows to predict for


def test_rows_have_columns_by_name_and_labels_where_they_are(table):
    path = table("b,note,y,a\n1,hi,s,2\n3,,,4\n")
    found = datasets.rows(path, feature_names=["a", "b"], target="y")
    assert np.array_equal(found.X, [[2, 1], [4, 3]])
    assert found.labels == ["s", ""]
    assert datasets.rows(path, feature_names=["a", "b"], target="z").labels is None
    values = datasets.rows(
        table("a,y\n1,2.5\n2,NA\n"), feature_names=["a"], target="y", task="regression"
    ).labels
    assert values[0] == 2.5
    assert math.isnan(values[1])


def test_rows_without_a_header_need_no_target(table):
    for text in ("1;2;s\n3;4;t\n", "1;2\n3;4\n"):
        found = datasets.rows(
            table(text), feature_names=["column_1", "column_2"], target="column_3", header=False
        )
        assert np.array_equal(found.X, [[1, 2], [3, 4]])
    first = datasets.rows(table("1;2\n3;4\n"), feature_names=["column_2", "column_3"], header=False)
    assert np.array_equal(first.X, [[1, 2], [3, 4]])


def test_long_tables_are_read_whole(table):
    lines = [f"{i},{i / 8},{string.ascii_lowercase[i % 26]}" for i in range(9000)]
    (X, _), (X_test, _) = datasets.load(table("\n".join(["a,b,y", *lines])))
    assert sorted([*X[:, 0], *X_test[:, 0]]) == list(range(9000))


# Some versions read exactly only when they are asked to, others warn of it.
@pytest.mark.filterwarnings("ignore:The 'float_precision' argument")
@pytest.mark.parametrize("seed", range(5))
def test_pandas_reads_the_same(tmp_path, seed):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(seed)
    n, separator = 60, ",;\t|"[seed % 4]
    frame = pandas.DataFrame(
        {
            "wide, very": rng.normal(size=n) * 10.0 ** rng.integers(-30, 30, n),
            "whole": rng.integers(-(10**12), 10**12, n),
            "kind": rng.choice(['a "b"', "c, d; e|f", "007", " 8", "é"], n),
        }
    )
    path = tmp_path / "d.csv"
    frame.to_csv(path, index=False, sep=separator, encoding="utf-16" if seed == 3 else "utf-8")
    options = {"encoding": "utf-16"} if seed == 3 else {}
    (X, y), (X_test, y_test), info = datasets.load(
        path, return_info=True, delimiter=separator, **options
    )
    theirs = pandas.read_csv(path, sep=separator, dtype={"kind": str}, float_precision="round_trip",
                             **options)  # fmt: skip
    ours = {tuple(row): info.class_names[k] for row, k in zip(np.vstack([X, X_test]).tolist(),
            np.concatenate([y, y_test]), strict=True)}  # fmt: skip
    assert ours == {(a, float(b)): kind.strip() for a, b, kind in theirs.to_numpy().tolist()}
