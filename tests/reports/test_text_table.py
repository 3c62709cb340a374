"""Tables as text: columns are aligned as asked, lines end where their last word does."""

from rsa_exp.reports.text_table import text_table


def test_columns_are_aligned() -> None:
    rows = [["roi", "A", "note"], ["V1", "0.25", ""], ["longer", "-1", "low"]]
    assert text_table(rows, "lrl") == [
        "roi        A  note",
        "V1      0.25",
        "longer    -1  low",
    ]
    assert text_table([], "") == []
