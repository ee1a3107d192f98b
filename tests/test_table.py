"""Tables: rows are trained once, every seed is measured, and mistakes are one line."""

import json

import pytest

from experiments import table

SHORT = ["--table=ring", "--only=PacGAN", "--seeds=2", "--steps=3"]


@pytest.mark.slow
def test_a_table_trains_its_rows_once_and_measures_every_seed(tmp_path, capfd, monkeypatch):
    monkeypatch.setitem(table.METHODS, "PacGAN2", "pacgan" + " --packing=2" * 20)  # as many flags as no directory has a name for
    (tmp_path / "ring.json").write_text(json.dumps({"dataset": "another", "rows": [{"method": next(iter(table.METHODS))}]}))
    assert table.main([*SHORT, f"--out={tmp_path}"]) == 0
    record = json.loads((tmp_path / "ring.json").read_text())
    (row,) = record["rows"]
    assert (record["table"], record["dataset"], row["method"], row["steps"]) == ("ring", "ring", "PacGAN2", 3)
    assert row["flags"] == "--variant=pacgan" + " --packing=2" * 20 + " --steps=3"
    assert len(row["modes"]) == len(row["mode_kl"]) == 2
    written = (tmp_path / "ring.md").read_text()
    last = table.line(row, table.TABLES["ring"])
    assert written.splitlines()[-1] == last and last.count("|") == written.splitlines()[0].count("|")
    capfd.readouterr()
    assert table.main([*SHORT, f"--out={tmp_path}"]) == 0  # read, and not trained again
    assert json.loads((tmp_path / "ring.json").read_text())["rows"] == [row]


@pytest.mark.slow
def test_a_table_of_labels_has_a_run_a_seed(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert table.main(["--table=labels", "--only=projection", "--seeds=2", "--steps=3", f"--out={tmp_path}"]) == 0
    (row,) = json.loads((tmp_path / "labels.json").read_text())["rows"]
    assert len(row["agreement"]) == len(row["frechet"]) == 2 and row["samples"] == 898
    assert "AUC of right labels" in (tmp_path / "labels.md").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--table=rink"], "unknown table 'rink'; did you mean ring?"),
        (["--only=foo"], "no row of ring begins with 'foo'"),
        (["--seeds=1"], "--seeds=1 must be at least 2"),
        (["--dataset=digits"], "--table=ring is of ring"),
        (["--sed=1"], "unknown flag --sed; did you mean --seed"),
    ],
)
def test_mistakes_are_one_line(words, says, capsys):
    with pytest.raises(SystemExit) as end:
        table.main(words)
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.startswith("error: ") and says in error and error.count("\n") == 1


def test_every_row_is_a_command_that_is_understood():
    for each in table.TABLES.values():
        for flags in each.rows.values():
            variant, *own = flags.split()
            table.config.parse([f"--variant={variant}", f"--dataset={each.dataset}", *own, *each.flags.split()])
