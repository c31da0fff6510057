"""`TableEncoder`: columns of any kind as features, as scikit-learn's ColumnTransformer has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fanin
from fanin.arrays import Table, table_columns
from fanin.preprocessing import Normalize, TableEncoder

N = 400
rng = np.random.default_rng(4)


def columns(n: int = N, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    size = rng.lognormal(3, 1.5, n)
    size[rng.random(n) < 0.1] = np.nan
    colours = np.array(["red", "green", "blue"], object)
    colour = colours[rng.choice(3, n, p=[0.5, 0.3, 0.2])]
    colour[rng.random(n) < 0.05] = None
    colour[:2] = "odd"
    towns = np.array([f"town {i}" for i in range(30)], object)
    day = np.datetime64("1968-02-28") + rng.integers(0, 20_000, n).astype("m8[D]")
    return {
        "size": size,
        "count": rng.integers(0, 9, n),
        "colour": colour,
        "town": towns[rng.integers(0, 30, n)],
        "member": rng.random(n) < 0.3,
        "day": day.astype("M8[s]"),
        "time": np.datetime64("2013-01-01T00:00:00") + rng.integers(0, 10**7, n).astype("m8[s]"),
    }


def frames() -> dict[str, Callable[[dict[str, Any]], Any]]:
    def polars(data: dict[str, Any]) -> Any:
        pl = pytest.importorskip("polars")
        plain = {k: v.tolist() if v.dtype == object else v for k, v in data.items()}
        plain |= {k: v.astype("M8[ms]") for k, v in data.items() if v.dtype.kind == "M"}
        return pl.DataFrame(plain).with_columns(pl.col("size").fill_nan(None))

    return {
        "pandas": lambda data: pytest.importorskip("pandas").DataFrame(data),
        "polars": polars,
        "pyarrow": lambda data: polars(data).to_arrow(),
        "Table": lambda data: Table(data),
    }


@pytest.mark.parametrize("kind", frames())
def test_every_frame_gives_the_same_features(kind: str) -> None:
    if kind != "Table":
        pytest.importorskip("narwhals")
    plain, held = Table(columns()), frames()[kind](columns())
    expected = TableEncoder().fit(plain)
    encoder = TableEncoder().fit(held)
    assert encoder.state_facts() == expected.state_facts()
    np.testing.assert_array_equal(encoder.transform(held), expected.transform(plain))


def test_the_features_and_their_names() -> None:
    encoder = TableEncoder().fit(Table(columns()))
    names = list(encoder.get_feature_names_out())
    assert names[:3] == ["size", "size_missing", "count"]
    assert names[3:8] == [
        "colour_blue",
        "colour_green",
        "colour_red",
        "colour_missing",
        "colour_rare",
    ]
    assert names[8] == "town_0"
    assert names[40:42] == ["member", "day_year"]
    assert names[-1] == "time_hour_cos"
    assert "day_hour_sin" not in names
    assert encoder.n_features_out_ == len(names)
    assert encoder.describe() == (
        "7 columns (2 numbers, 1 truth value, 1 category, 1 hashed category, 2 dates; "
        f"1 with missing values): {len(names)} features"
    )


def test_it_equals_the_column_transformer_of_the_same_rules() -> None:
    pd, _ = pytest.importorskip("pandas"), pytest.importorskip("narwhals")
    compose = pytest.importorskip("sklearn.compose")
    impute = pytest.importorskip("sklearn.impute")
    pre = pytest.importorskip("sklearn.preprocessing")
    pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline
    train, test = pd.DataFrame(columns()), pd.DataFrame(columns(seed=1))
    chosen = ["size", "count", "colour", "member"]
    train, test = train[chosen], test[chosen]
    test.loc[3, "colour"] = "never seen"
    numbers = pipeline(impute.SimpleImputer(strategy="median"), pre.StandardScaler())
    known = pre.OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=4, sparse_output=False
    )
    whole = compose.ColumnTransformer([
        ("size", numbers, ["size"]),
        ("lacks", impute.MissingIndicator(), ["size"]),
        ("count", numbers, ["count"]),
        ("colour", known, ["colour"]),
        ("member", "passthrough", ["member"]),
    ])  # fmt: skip
    expected = np.asarray(whole.fit(train).transform(test), float)
    encoder = TableEncoder().fit(train)
    np.testing.assert_allclose(encoder.encode(test, np.float64), expected, rtol=1e-12, atol=1e-12)


def test_heavy_tails_are_clipped_smoothly() -> None:
    x = np.concatenate([rng.normal(size=99), [1e9]])
    encoder = TableEncoder(clip=3).fit(Table({"x": x}))
    z = (x - np.median(x)) / np.subtract(*np.quantile(x, [0.75, 0.25]))
    expected = z / np.sqrt(1 + (z / 3) ** 2)
    np.testing.assert_allclose(encoder.encode(Table({"x": x}), np.float64)[:, 0], expected)
    assert expected.max() <= 3


def test_dates_are_cycles() -> None:
    when = np.array(["2013-01-07T06:00:00", "2014-07-01T18:00:00"], "M8[s]")
    table = Table({"when": when})
    out = TableEncoder().fit(table).encode(table, np.float64)
    np.testing.assert_allclose(out[:, 0], [-1, 1])
    np.testing.assert_allclose(out[:, 1:3], [[0, 1], [0, -1]], atol=1e-12)  # January, July
    np.testing.assert_allclose(out[0, 3:5], [0, 1], atol=1e-12)  # a Monday
    np.testing.assert_allclose(out[:, 5:7], [[1, 0], [-1, 0]], atol=1e-12)  # 6 and 18 o'clock
    text = Table({"when": np.array(["2013-01-07 06:00", "2014-07-01T18:00:00Z"], object)})
    np.testing.assert_array_equal(TableEncoder().fit(text).encode(text, np.float64), out)


def test_rare_and_unseen_values_share_a_feature() -> None:
    values = np.array(["a"] * 600 + ["b"] * 590 + ["c"] * 5 + ["d"] * 5, object)
    encoder = TableEncoder().fit(Table({"v": values}))
    found = encoder.transform(Table({"v": np.array(["a", "c", "zebra", None], object)}))
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]])
    without = TableEncoder().fit(Table({"v": values[:1100]}))
    np.testing.assert_array_equal(without.transform(Table({"v": values[-1:]})), [[0, 0]])


@pytest.mark.parametrize(
    ("column", "error", "match"),
    [
        (
            np.array([f"note {i}" for i in range(40)], object),
            ValueError,
            r"column 'v', got text: 40 .*; leave it out \(drop, --drop\), or text='drop'",
        ),
        (
            np.array([f"{1 + i % 28:02}.{1 + i // 28:02}.2024" for i in range(40)], object),
            ValueError,
            "column 'v', got text: 40 .*; write dates as 2024-05-31, or",
        ),
        (np.array([1, "a"] * 20, object), TypeError, "column 'v': expected values of one kind"),
        (
            np.array([np.inf, 1.0] * 20),
            ValueError,
            "finite numbers in column 'v', got inf in row 0",
        ),
        (np.ones(40, complex), TypeError, "column 'v': expected numbers, dates.*complex128"),
        (np.ones(40, "m8[s]"), TypeError, r"column 'v': .*timedelta64"),
        (np.array([2**53 + 1] * 40), ValueError, r"column 'v': .*within 2\*\*53"),
    ],
)
def test_what_is_no_feature_is_refused_by_name(column: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        TableEncoder().fit(Table({"v": column}))


def test_other_columns_than_in_training() -> None:
    encoder = TableEncoder().fit(Table(columns()))
    turned = dict(reversed(columns().items())) | {"new": np.ones(N)}
    np.testing.assert_array_equal(
        encoder.transform(Table(turned)), encoder.transform(Table(columns()))
    )
    less = {k: v for k, v in columns().items() if k != "colour"}
    with pytest.raises(ValueError, match="X: expected a column 'colour', as in training"):
        encoder.transform(Table(less))
    with pytest.raises(TypeError, match=r"number values in column 'size', .* got category values"):
        encoder.transform(Table(columns() | {"size": columns()["colour"]}))
    nothing = Table(columns() | {"colour": np.full(N, np.nan)})
    assert encoder.transform(nothing)[:, 6].all()  # colour_missing


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("steps", [[], [Normalize()]], ids=str)
def test_a_network_keeps_it_and_takes_frames(dtype: str, steps: list[Any], tmp_path: Any) -> None:
    table, y = Table(columns()), np.where(np.arange(N) % 3, "no", "yes")
    encoder = TableEncoder()
    width = TableEncoder().fit(table).n_features_out_
    net, plain = (fanin.MLP([width, 8, 2], dtype=dtype, seed=1) for _ in range(2))
    options: dict[str, Any] = {"epochs": 2, "batch_size": 32, "progress": False}
    net.fit(table, y, preprocess=[encoder, *steps], validation_data=(table[:50], y[:50]), **options)
    assert encoder.n_samples_seen_ == 0  # a copy was fitted
    rows = TableEncoder().fit(table).encode(table, dtype)
    plain.fit(rows, y, preprocess=steps or None, validation_data=(rows[:50], y[:50]), **options)
    np.testing.assert_array_equal(net.get_parameters(), plain.get_parameters())
    net.save(tmp_path / "net.fanin")
    for again in (fanin.MLP.load(tmp_path / "net.fanin"), net.copy()):
        np.testing.assert_array_equal(again.predict(table[:9]), plain.predict(rows[:9]))
        assert repr(again.preprocess) == repr([encoder, *steps])
    net.fit(table, y, **options)  # goes on with it
    with pytest.raises(ValueError, match=r"expected 5 features, the network's dims\[0\]"):
        fanin.MLP([5, 2]).fit(table, y, preprocess=encoder, **options)
    with pytest.raises(ValueError, match=r"expected TableEncoder.* first"):
        net.fit(table, y, preprocess=[Normalize(), encoder], **options)
    with pytest.raises(TypeError, match=r"TableEncoder.* takes them"):
        fanin.MLP([5, 2]).fit(table, y, **options)


def test_it_is_exported_to_onnx_inside_the_graph() -> None:
    pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    table, y = Table(columns()), np.where(np.arange(N) % 3, "no", "yes")
    encoder = TableEncoder(clip=3).fit(table)
    net = fanin.MLP([encoder.n_features_out_, 8, 2], seed=1)
    net.fit(table, y, preprocess=encoder, epochs=1, progress=False)
    model = fanin.export.to_onnx(net)
    other = Table(columns(seed=1))
    inputs = fanin.export.onnx_inputs(net, other)
    assert [value.name for value in model.graph.input] == list(inputs)
    _, probabilities, names = ReferenceEvaluator(model).run(None, inputs)
    np.testing.assert_allclose(probabilities, net.predict_proba(other), atol=1e-5)
    np.testing.assert_array_equal(names, net.predict(other))
    try:
        from onnxruntime import InferenceSession
    except ImportError:
        return
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    _, probabilities, names = session.run(None, inputs)
    np.testing.assert_allclose(probabilities, net.predict_proba(other), atol=1e-5)
    np.testing.assert_array_equal(names, net.predict(other))


# Frames as people have them


def test_nullable_columns_that_lack_values() -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    frame = pd.DataFrame({
        "whole": pd.array([1, None, 3, 4], dtype="Int64"),
        "truth": pd.array([True, None, False, True], dtype="boolean"),
        "text": pd.array(["a", None, "b", "a"], dtype="string"),
    })  # fmt: skip
    encoder = TableEncoder().fit(frame)
    assert [column.kind for column in encoder.columns_] == ["number", "boolean", "category"]
    assert [column.missing for column in encoder.columns_] == [True, True, False]
    plain = pd.DataFrame({
        "whole": [1, np.nan, 3, 4],
        "truth": [True, None, False, True],
        "text": ["a", None, "b", "a"],
    })  # fmt: skip
    assert np.array_equal(encoder.transform(plain), encoder.transform(frame))


def test_names_of_columns_in_frames() -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    numbers = pd.DataFrame({0: [1.0, 2.0], 1: ["a", "b"]})
    assert list(TableEncoder().fit(numbers).feature_names_in_) == ["0", "1"]
    both = pd.DataFrame([[1.0, 2.0]], columns=pd.Index([0, "0"], dtype=object))
    with pytest.raises(ValueError, match="expected different column names, got '0' twice"):
        TableEncoder().fit(both)
    several = pd.DataFrame([[1.0]], columns=pd.MultiIndex.from_tuples([("a", "b")]))
    with pytest.raises(TypeError, match=r"expected columns with one name each, got \('a', 'b'\)"):
        TableEncoder().fit(several)
    with pytest.raises(ValueError, match="at least one row and column"):
        TableEncoder().fit(pd.DataFrame({"a": []}, dtype=object))


def test_categories_of_numbers_are_categories() -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    frame = pd.DataFrame({"zip": pd.Categorical([1, 2, 3] * 20)})
    encoder = TableEncoder().fit(frame)
    assert list(encoder.get_feature_names_out()) == ["zip_1", "zip_2", "zip_3"]
    for other in ([1, 2, 3] * 20, [1.0, 2.0, 3.0] * 20, ["1", "2", "3"] * 20):
        found = encoder.transform(pd.DataFrame({"zip": other}))
        assert np.array_equal(found, encoder.transform(frame))


def test_times_with_a_zone_are_those_of_its_clock() -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    days = pd.date_range("2020-01-01 08:00", periods=400, freq="D", tz="Europe/Berlin")
    frame, naive = (pd.DataFrame({"at": t}) for t in (days, days.tz_localize(None)))
    encoder = TableEncoder().fit(frame)
    found = encoder.transform(frame)
    assert np.array_equal(found, TableEncoder().fit(naive).transform(naive))
    assert np.ptp(found[:, -2:]) > 0.3
    assert np.ptp(found[:, -2:], axis=0).max() == 0  # 8 in the morning, summer and winter
    objects = pd.Series(list(days.tz_convert("America/New_York")), dtype=object)
    fixed = days.tz_convert("UTC+05:30")
    for other in (days.tz_convert("UTC"), objects, fixed):
        assert np.array_equal(encoder.transform(pd.DataFrame({"at": other})), found)
    again = TableEncoder()
    again.load_state_facts(json.loads(json.dumps(encoder.state_facts())))
    assert again.state_facts() == encoder.state_facts()
    with pytest.raises(ValueError, match=r"X: expected times with a zone, as Europe/Berlin in"):
        encoder.transform(naive)
    with pytest.raises(ValueError, match=r"X: expected times without a zone, in column 'at', got"):
        TableEncoder().fit(naive).transform(frame)
    mixed = pd.Series([days[0].to_pydatetime(), naive["at"][0].to_pydatetime()] * 9, dtype=object)
    with pytest.raises(ValueError, match=r"column 'at': expected times that all have a zone, or"):
        TableEncoder().fit(pd.DataFrame({"at": mixed}))


def test_columns_without_a_value_make_nothing() -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    none = pd.to_datetime([None] * 9)
    frame = pd.DataFrame({"a": range(9), "when": none, "there": none.tz_localize("Europe/Rome")})
    encoder = TableEncoder().fit(frame)
    assert list(encoder.get_feature_names_out()) == ["a"]
    assert np.isfinite(encoder.transform(frame)).all()


def test_numbers_that_are_too_large() -> None:
    for values in ([1e308, -1e308], [0, -1e300]):
        with pytest.raises(ValueError, match=r"X: expected numbers within 1e\+150 in column 'a'"):
            TableEncoder().fit(Table({"a": np.array(values)}))
    encoder = TableEncoder().fit(Table({"a": np.arange(9.0)}))
    far = Table({"a": np.array([1.0, 1e60])})
    with pytest.raises(
        ValueError, match=r"column 'a' that, .* float32 holds, got another in row 1"
    ):
        encoder.transform(far)
    assert np.isfinite(encoder.encode(far, np.float64)).all()


def test_the_clock_is_that_of_the_zone_at_every_hour() -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    for zone in ("Europe/London", "America/St_Johns", "Australia/Lord_Howe", "UTC-03:30"):
        hours = pd.date_range("2023-01-01", "2024-12-31", freq="30min", tz="UTC").tz_convert(zone)
        found, zones = table_columns("X", pd.DataFrame({"at": hours}))
        assert np.array_equal(found["at"], hours.tz_localize(None).to_numpy("datetime64[s]"))
        assert zones == {"at": zone}


def test_what_is_no_column_of_a_table() -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    for values in (
        pd.to_timedelta([1, 2], unit="h"),
        [[1], [2]],
        pd.period_range("2020", periods=2),
    ):
        with pytest.raises(TypeError, match="X: column 'c': expected numbers, dates, truth values"):
            TableEncoder().fit(pd.DataFrame({"c": values}))
