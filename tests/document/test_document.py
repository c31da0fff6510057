"""Documents: the page, and lines and tables for a terminal."""

from fanin.document import html
from fanin.document.blocks import Chapter, Lines, Picture, Remark, Table
from fanin.document.text import aligned, block_lines, chapter_lines


def test_text_is_escaped_and_marked():
    chapter = Chapter("<b>", ["a < b, *so* `x * y * z` and **<i>**", Lines("<&>")])
    text = html.page("T", ["o"], {"one": chapter}, {}, "c")
    assert (
        "<p>a &lt; b, <em>so</em> <code>x * y * z</code> and <strong>&lt;i&gt;</strong></p>" in text
    )
    assert "<pre>&lt;&amp;&gt;</pre>" in text
    assert "<h2>&lt;b&gt;</h2>" in text


def test_tables_are_aligned_on_the_terminal():
    table = Table("Of `x`", ("name", "n"), [("a", "1"), ("longer", "22")])
    *_, last = lines = list(chapter_lines(Chapter("T", [table])))
    assert lines[:-1] == ["== T ==", "Of x", "  name     n", "  a        1", "  longer  22"]
    assert last == ""


def test_columns_are_flush_left_or_right_and_of_least_widths():
    rows = [("a", "bb"), ("ccc", "")]
    assert aligned(rows) == ["a    bb", "ccc"]
    assert aligned(rows, left=0) == ["  a  bb", "ccc"]
    assert aligned(rows, left=2, gap=1, widths=(5, 1)) == ["a     bb", "ccc"]


def test_a_block_as_lines():
    assert block_lines("word " * 30)[0] == "  " + "word " * 18 + "word"
    assert block_lines("`x` is *so*") == ["  x is so"]
    assert block_lines(Lines("a\n b")) == ["    a", "     b"]
    assert block_lines(Remark("r")) == block_lines(Picture("f", "a", "c", print)) == []


def test_what_acts_on_a_terminal_is_shown():
    from fanin.document.text import visible

    assert visible("a\x1b[31mb\x07\x9bc\u202ed\u2028\udcff\t\n") == (
        r"a\x1b[31mb\x07\x9bc\u202ed\u2028\xff\t\n"
    )
    assert visible("a\tb\nc\r", lines=True) == "a\tb\nc\\r"
    for text in ("Zürich", "한국어", "שלום", "नि\u200d", "👩\u200d🔬", "1 \\ 2"):
        assert visible(text) == text


def test_labels_cannot_leave_their_cells():
    table = Table("", ["\x1b[2J"], [["a\nb"]])
    assert aligned([table.header, *table.rows]) == [r"\x1b[2J", r"a\nb"]
    page_ = html.page("t", [], {"c": Chapter("x\u202e", [table])}, {}, "")
    assert not set("\x1b\u202e") & set(page_)
