"""What is drawn for a terminal as HTML: tables stay tables, and names are data."""

from __future__ import annotations

from html.parser import HTMLParser

from rich.console import Group
from rich.table import Table

from xpm_alchem.tables.console import cell, plain_text, told
from xpm_alchem.tables.drawing import rows_table
from xpm_alchem.tables.html import html_of

EVIL = "<script>alert(1)</script> & 'x' \x1b[31m"


class Cells(HTMLParser):
    """Collects what is in the cells of a page, and which tags it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def test_a_table_is_one_with_all_that_is_in_it():
    shown = rows_table(
        "hydration (kcal/mol)", ("edge", "n"), [("a -> b", "3"), ("b -> c", "1")], right=range(1, 2), red=[False, True]
    )
    page = html_of(Group(shown, told("below")))
    cells = Cells(page)
    assert cells.tags.count("td") == 4 and cells.tags.count("th") == 2
    assert {"hydration (kcal/mol)", "edge", "a -> b", "3", "b -> c", "1", "below"} <= set(cells.text)
    assert '<tr style="color:red"><td style="text-align:left">b -&gt; c</td><td style="text-align:right">1</td>' in page


def test_names_are_no_markup():
    table = Table(title=cell(EVIL))
    table.add_column(EVIL)
    table.add_row(cell(EVIL))
    for shown in (table, told(EVIL), EVIL, Group(table, told(EVIL))):
        page = html_of(shown)
        assert "script" not in Cells(page).tags
        assert "\x1b" not in page and "\x1b" not in plain_text(shown)
        assert "<script>alert(1)</script> & 'x' " in "".join(Cells(page).text)


def test_many_rows_are_lines_there_too():
    rows = [(f"edge {n}", str(n)) for n in range(300)]
    page = html_of(rows_table("many", ("edge", "n"), rows, right=range(1, 2), red=[False] * 300))
    assert page.startswith("<pre") and "edge 299" in page


def test_lines_of_a_text_stay_lines():
    assert html_of(told("one", "two")).count("<br>") == 1
