"""Documents as one self-contained HTML page."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence

from fanin.document.blocks import (
    Block,
    Chapter,
    Heading,
    Image,
    Lines,
    Listing,
    Picture,
    Remark,
    Table,
)
from fanin.document.text import plain, visible

MARKS = ((r"`(.+?)`", "code"), (r"\*\*(.+?)\*\*", "strong"), (r"\*(.+?)\*", "em"))
NEWLINE = "\n"
NARROW = "(max-width: 40rem)"  # where pictures have their panels below each other
UNBROKEN = 20  # characters of a table's cell that is never broken into lines

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --soft: #5c5c5c; --paper: #fdfdfb;
  --line: #d9d9d4; --box: #f1f1ec; --mark: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e1; --soft: #a9a7a2; --paper: #161718;
  --line: #3a3b3d; --box: #222426; --mark: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem 1rem 4rem; max-width: 46rem; background: var(--paper);
  color: var(--ink); font: 1.0625rem/1.6 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 1.5rem 0 .5rem; }
h2 { font-size: 1.5rem; line-height: 1.25; margin: 3.5rem 0 .8rem; padding-top: 1rem;
  border-top: 2px solid var(--mark); }
h3 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
a { color: var(--mark); }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; background: var(--box);
  border-radius: 4px; }
code { padding: .1em .3em; }
pre { padding: .8rem 1rem; white-space: pre-wrap; line-height: 1.45; }
blockquote { margin: 1.2rem 0; padding: .1rem 1rem; border-left: 4px solid var(--mark);
  font-style: italic; }
figure { margin: 1.5rem 0; }
figure img { display: block; width: 100%; height: auto; max-width: 40rem; margin: 0 auto;
  background: #fff; border-radius: 6px; padding: 6px; }
figcaption { margin: .5rem auto 0; max-width: 40rem; color: var(--soft); font-size: .9rem;
  line-height: 1.45; }
.table { overflow-x: auto; }
.table + figcaption { margin-left: 0; }
table { border-collapse: collapse; font-size: .92rem; line-height: 1.35; min-width: 60%; }
th, td { padding: .4rem .7rem .4rem 0; text-align: right; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; min-width: 7rem; }
th { font-weight: 600; }
.short { white-space: nowrap; }
td.long { min-width: 10rem; text-align: left; }
.code { white-space: pre; overflow-x: auto; }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
@media (max-width: 40rem) { .wide { overflow-x: auto; } .wide img { width: 34rem; max-width: none; }
  body { padding: .6rem .8rem 3rem; } h1 { font-size: 1.6rem; }
  th:first-child, td:first-child { min-width: 0; } }
nav ol { padding-left: 2rem; }
footer { margin-top: 4rem; color: var(--soft); font-size: .9rem; }
"""


def page(
    title: str,
    opening: Sequence[str],
    chapters: Mapping[str, Chapter],
    images: Mapping[str, Image],
    closing: str,
) -> str:
    """The whole page; pictures that are not among `images` are left out."""
    contents, body = [], []
    for name, chapter in chapters.items():
        heading = _inline(chapter.title)
        contents.append(f'<li><a href="#{name}">{heading}</a></li>')
        blocks = NEWLINE.join(_block(block, images) for block in chapter.blocks)
        body.append(f'<section id="{name}">\n<h2>{heading}</h2>\n{blocks}\n</section>')
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{html.escape(title)}</h1>
{"".join(f"<p>{_inline(text)}</p>" for text in opening)}
<nav aria-label="Contents"><ol>
{NEWLINE.join(contents)}
</ol></nav>
</header>
<main>
{NEWLINE.join(body)}
</main>
<footer><p>{_inline(closing)}</p></footer>
</body>
</html>
"""
    return visible(text, lines=True)


def fragment(title: str, blocks: Sequence[Block]) -> str:
    """A title and blocks without pictures, as a notebook shows them: ``_repr_html_``."""
    body = NEWLINE.join(_block(block, {}) for block in blocks)
    heading = f"<strong>{html.escape(visible(title))}</strong>"
    return visible(f"<div>\n<p>{heading}</p>\n{body}\n</div>", lines=True)


def _inline(text: str) -> str:
    """Escaped, with `code`, **names** and *emphasis* marked; in code nothing else is."""
    parts = re.split(r"(`[^`]+`)", html.escape(text, quote=False))
    for i, part in enumerate(parts):
        for pattern, tag in MARKS[:1] if part.startswith("`") else MARKS[1:]:
            parts[i] = re.sub(pattern, rf"<{tag}>\1</{tag}>", parts[i])
    return "".join(parts)


def _block(block: Block, images: Mapping[str, Image]) -> str:
    if isinstance(block, Heading):
        return f"<h3>{_inline(block.text)}</h3>"
    if isinstance(block, Lines):
        return f"<pre>{html.escape(block.text)}</pre>"
    if isinstance(block, Listing):
        return f'<pre class="code" tabindex="0">{html.escape(block.text)}</pre>'
    if isinstance(block, Remark):
        return f"<blockquote><p>{_inline(block.text)}</p></blockquote>"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Picture):
        return _figure(block, images[block.file]) if block.file in images else ""
    return f"<p>{_inline(block)}</p>"


def _figure(picture: Picture, image: Image) -> str:
    kind = picture.file.rsplit(".", 1)[1]  # png or gif
    img = f'<img alt="{html.escape(picture.alt)}" src="{_data(kind, image.wide)}">'
    if image.narrow is None:
        img = f'<div class="wide" tabindex="0">{img}</div>'
    else:
        narrow = f'<source media="{NARROW}" srcset="{_data(kind, image.narrow)}">'
        img = f"<picture>{narrow}{img}</picture>"
    return f"<figure>{img}\n<figcaption>{_inline(picture.caption)}</figcaption></figure>"


def _data(kind: str, image: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def _table(table: Table) -> str:
    """A wide one scrolls; its caption does not."""
    head = "".join(
        f'<th scope="col">{html.escape(cell)}</th>' if cell else "<td></td>"
        for cell in table.header
    )
    rows = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    return (
        f'<figure><div class="table" role="group" tabindex="0" '
        f'aria-label="{html.escape(plain(table.caption))}"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>\n"
        f"<figcaption>{_inline(table.caption)}</figcaption></figure>"
    )


def _cell(text: str) -> str:
    kind = ' class="long"' if len(text) > UNBROKEN else ' class="short"'
    return f"<td{kind}>{html.escape(text)}</td>"
