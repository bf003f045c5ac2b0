"""The support table as CSV, Markdown and HTML: complete, escaped, the same each time."""

import csv
import io
import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.tables import DETAILS, support_table
from tools.support import pages
from tools.support.statuses import STATUSES, matrix, problems
from tools.support.texts import layers_of

HOSTILE = (
    "<script>run(1)</script>",
    "{{7*7}}{% raw %}",
    "javascript:run(1)",
    '"><img src=x onerror=run(1)>',
    "a|b`c*d_e_",
)


class Reader(HTMLParser):
    """Elements of a page, the texts inside scripts, and all other text."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.scripts, self.styles, self.text, self._inside = [], [], [], "", ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        {"script": self.scripts, "style": self.styles}.get(self._inside, []).append(data)
        self.text += "" if self._inside in ("script", "style") else data


def read_csv(table):
    return list(csv.DictReader(io.StringIO(pages.csv_of(table))))


def hostile_table():
    table = support_table(len(HOSTILE))
    for row, text in zip(table["rows"], HOSTILE, strict=True):
        row["name"], row["arguments"], row["layers"] = text, {text: text}, {text: 1}
        row["changed"]["why"] = [text]
        row["cells"]["torch-cpu"].update(status="failed", detail=text)
    table["devices"][0].update(title=HOSTILE[0], version=HOSTILE[3])
    table["excluded"] = [{"kind": "network", "name": text, "reason": text} for text in HOSTILE]
    return table


def test_the_csv_has_a_line_a_row_with_statuses_by_device_and_numbers_in_full():
    table = support_table(60)

    lines = read_csv(table)

    assert [line["name"] for line in lines] == [row["name"] for row in table["rows"]]
    for line, row in zip(lines, table["rows"], strict=True):
        assert int(line["parameters"]) == row["parameters"]
        assert {name: line[name] for name in row["cells"]} == {
            name: cell["status"] for name, cell in row["cells"].items()
        }


def test_the_csv_names_the_parts_of_assemblies_and_counts_layers():
    table = support_table(400)
    number = next(i for i, row in enumerate(table["rows"]) if row["kind"] == "assembly")
    row = table["rows"][number] = {**table["rows"][number], "layers": {"ReLU": 3, "Conv2d": 20}}

    line = read_csv(table)[number]

    assert {part: line[part] for part in row["parts"]} == row["parts"]
    assert line["layers"] == "Conv2d 20, ReLU 3"


# What a spreadsheet takes for the beginning of a formula, in two widths.
FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


@given(text=st.builds("{}{}{}".format, st.sampled_from(("", " ", "\t", "\n")), st.sampled_from(FORMULAS), st.text()))
def test_no_cell_of_the_csv_is_a_formula_or_a_second_line(text):
    table = support_table(1)
    table["rows"][0].update(name=text, error=text, layers={text: 1})

    written = pages.csv_of(table)

    assert len(written.splitlines()) == len(written.split("\n")) - 1 == 2
    assert not any(value.startswith(FORMULAS) for value in next(csv.reader(written.splitlines()[1:])))


def test_the_markdown_counts_by_device_tells_what_is_not_ok_and_holds_every_row():
    table = support_table(40)

    text = pages.markdown_of(table)

    ok = sum(row["cells"]["torch-cpu"]["status"] == "ok" for row in table["rows"])
    assert f"| torch, CPU | 1.31.1 | {ok} | 40 |" in text
    assert (
        f"| backbone | {table['rows'][1]['name']} | onnx's reference evaluator | ≠ mismatch | {DETAILS['mismatch']}"
        in text
    )
    whole = text[text.index("## Every row") :]
    assert all(f"| {row['name']} |" in whole for row in table["rows"])
    assert "2026-11-28T17:00:00Z" in text
    assert table["commit"] in text


def test_the_markdown_of_a_table_without_a_fault_says_so():
    assert "## What isn't ok\n\nNothing." in pages.markdown_of(support_table(1))


def test_hostile_text_is_plain_text_in_the_markdown():
    text = pages.markdown_of(hostile_table())

    bare = re.sub(r"\\[^\w\s]", "", text)
    assert not re.search(r"[<>`*]|\{\{|\{%|\]\(", bare)
    assert all(line.count("|") == other.count("|") for line, other in _neighbours(bare) if line[0] == other[0] == "|")


def _neighbours(text):
    lines = [line or " " for line in text.splitlines()]
    return pairwise(lines)


def test_the_page_holds_every_row_and_fault_without_its_script():
    table = support_table(40)

    text = Reader(pages.page_of(table)).text

    assert all(row["name"] in text for row in table["rows"])
    assert all(detail in text for _, _, _, detail, _ in problems(table))
    assert table["excluded"][0]["reason"] in text
    assert "2026-11-28 17:00 UTC" in text


def test_the_page_loads_nothing_and_its_policy_lets_its_own_script_and_style_run_only():
    page = Reader(pages.page_of(support_table()))

    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    hashes = [
        "sha256-" + b64encode(sha256(text.encode()).digest()).decode() for text in (page.scripts[1], page.styles[0])
    ]
    assert policy == (
        f"default-src 'none'; script-src '{hashes[0]}'; style-src '{hashes[1]}'; base-uri 'none'; form-action 'none'"
    )
    assert not [(tag, a) for tag, a in page.elements if "src" in a or tag in ("link", "iframe", "object", "base")]
    assert all(a["href"].startswith("#") for _, a in page.elements if "href" in a)


def test_hostile_text_is_plain_text_in_the_page():
    harmless, hostile = Reader(pages.page_of(support_table(len(HOSTILE)))), Reader(pages.page_of(hostile_table()))

    assert [tag for tag, _ in hostile.elements].count("script") == 2
    assert {tag for tag, _ in hostile.elements} == {tag for tag, _ in harmless.elements}
    assert not [name for _, a in hostile.elements for name in a if name.startswith("on") or name == "style"]
    assert hostile.scripts[1] == harmless.scripts[1]
    assert all(text in hostile.text for text in HOSTILE)


def test_the_data_of_the_page_is_strict_json_with_numbers_as_text():
    table = support_table(3)
    table["rows"][1]["cells"]["torch-cpu"]["sizes"] = [{"shapes": [[]], "difference": float("inf"), "seconds": 0.25}]

    data = json.loads(Reader(pages.page_of(table)).scripts[0], parse_constant=pytest.fail)

    assert data["rows"][1]["cells"][0]["sizes"] == [["scalar", "infinite", "250 ms"]]
    assert data["rows"][0]["layers"] == [list(layer) for layer in layers_of(table["rows"][0])]


def test_a_changed_row_changes_few_lines_of_every_page():
    table, other = support_table(100), support_table(100)
    # A time changes at each check; nothing that is counted does.
    other["rows"][50]["cells"]["torch-cpu"]["date"] = "2026-11-29T08:00:00Z"

    for make in (pages.csv_of, pages.markdown_of, pages.page_of):
        lines = zip(make(table).splitlines(), make(other).splitlines(), strict=True)
        assert sum(one != two for one, two in lines) <= 1


def test_a_row_without_an_artifact_is_one_fault_and_no_device_tested_it():
    table = support_table(3)
    table["rows"][1].update(error="ValueError: SE: channels must be even", cells={})

    assert [read_csv(table)[1][device["name"]] for device in table["devices"]] == ["no artifact"] * 4
    # A device that isn't here says so of each row.
    table["rows"][1]["cells"]["openvino-cpu"] = {**table["rows"][0]["cells"]["openvino-cpu"], "status": "not tested"}
    faults = [(p.device, p.status, p.detail) for p in problems(table) if p.row is table["rows"][1]]
    assert faults == [("every device", "no artifact", "ValueError: SE: channels must be even")]


def test_a_device_that_a_row_has_no_cell_of_is_not_tested_and_never_ok():
    table = support_table(2)
    del table["rows"][0]["cells"]["torch-cpu"]

    assert read_csv(table)[0]["torch-cpu"] == "not tested"
    assert "| torch, CPU | 1.31.1 | 1 | 2 | 1 not tested |" in pages.markdown_of(table)


def test_the_matrix_counts_rows_modules_and_what_is_ok_with_the_worst():
    table = support_table(3)
    for row, layers, status in zip(
        table["rows"], ({"SE": 2}, {"SE": 3, "ReLU": 1}, {"ReLU": 5}), ("ok", "unsupported", "mismatch"), strict=True
    ):
        row["layers"], row["cells"] = layers, {"torch-cpu": {**row["cells"]["torch-cpu"], "status": status}}

    found = matrix(table["rows"], ["torch-cpu"])

    assert found == [
        ("ReLU", 2, 6, {"torch-cpu": (0, "mismatch")}),
        ("SE", 2, 5, {"torch-cpu": (1, "unsupported")}),
    ]


@pytest.mark.parametrize("make", [pages.csv_of, pages.markdown_of, pages.page_of])
def test_a_table_without_rows_and_devices_is_written(make):
    table = {**support_table(1), "rows": [], "devices": [], "excluded": []}

    assert make(table)


def test_the_three_pages_are_written_as_they_are_made(tmp_path):
    table = support_table()

    pages.write(table, tmp_path / "table")

    written = {path.name: path.read_text("utf-8") for path in (tmp_path / "table").iterdir()}
    assert written == {
        "table.csv": pages.csv_of(table),
        "table.md": pages.markdown_of(table),
        "index.html": pages.page_of(table),
    }


def test_bytes_that_were_no_text_in_a_message_are_written_as_escapes(tmp_path):
    table = support_table(2)
    table["rows"][1]["cells"]["torch-cpu"].update(status="failed", detail="wrong \udcff byte")

    pages.write(table, tmp_path)

    assert "wrong \\udcff byte" in (tmp_path / "index.html").read_text("utf-8")


def test_an_unknown_status_is_refused_by_row_and_device_and_nothing_is_written(tmp_path):
    table = support_table()
    table["rows"][1]["cells"]["openvino-cpu"]["status"] = "okay"

    with pytest.raises(ValueError, match=r"backbone \S+ on openvino-cpu: status 'okay' is none of mismatch, failed"):
        pages.write(table, tmp_path / "table")

    assert not (tmp_path / "table").exists()


def test_a_table_of_another_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the table's format is 2, this version writes pages of format 1"):
        pages.write({**support_table(), "format": 2}, tmp_path)


def test_every_status_has_its_own_symbol():
    assert len({status.symbol for status in STATUSES.values()}) == len(STATUSES)
