"""``results.json``: what comes back is what was written, and damage is seen."""

import hashlib
import json
import math
from dataclasses import replace

import pytest

from tests.report import synthetic
from thalweg.errors import ArgumentError, DataError
from thalweg.report import SCHEMA, read_results
from thalweg.report._store import to_json


@pytest.fixture
def file(tmp_path, one):
    path = tmp_path / "results.json"
    path.write_text(to_json(one), encoding="utf-8")
    return path


@pytest.mark.parametrize("make", [synthetic.findings, synthetic.single])
def test_findings_come_back_as_they_were(make, tmp_path):
    (tmp_path / "results.json").write_text(to_json(make()), encoding="utf-8")
    back = read_results(tmp_path)
    assert back.to_dict() == make().to_dict()
    assert to_json(back) == to_json(make())
    assert back.configuration == make().configuration
    assert {type(v) for v in back.configuration.values()} == {type(v) for v in make().configuration.values()}


def test_there_is_no_nan_and_what_was_one_is_one_again(tmp_path):
    item = synthetic.measurement(holes=2)
    found = replace(synthetic.single(), measurements=(item,), configuration={"limit": math.inf})
    text = to_json(found)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the file"))
    (tmp_path / "results.json").write_text(text, encoding="utf-8")
    back = read_results(tmp_path / "results.json")
    assert int(back.measurements[0].surface.loss.isnan().sum()) == 2
    assert back.configuration == {"limit": None}


def test_the_hash_is_that_of_the_canonical_json_of_the_rest(one):
    whole = json.loads(to_json(one))
    assert list(whole) == ["schema", "content_hash", "findings"]
    assert whole["schema"] == SCHEMA == "thalweg-findings/1"
    rest = {key: value for key, value in whole.items() if key != "content_hash"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert whole["content_hash"] == hashlib.sha256(canonical.encode()).hexdigest()


def change(file, **values):
    whole = json.loads(file.read_text(encoding="utf-8"))
    whole.update(values)
    file.write_text(json.dumps(whole), encoding="utf-8")


def test_one_changed_digit_is_seen(file):
    whole = json.loads(file.read_text(encoding="utf-8"))
    whole["findings"]["measurements"][0]["trace"]["value"] += 1e-9
    change(file, findings=whole["findings"])
    with pytest.raises(DataError, match=r"does not match its hash .* changed or damaged since it was written\."):
        read_results(file)


def test_formatting_is_no_content(file, one):
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")), indent=7), encoding="utf-8")
    assert read_results(file).title == one.title


@pytest.mark.parametrize("text", ["", "{", "not json", "\udcff", '{"schema": NaN}'])
def test_what_is_not_json_is_named(file, text):
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"results\.json: expected JSON, got something else"):
        read_results(file)


@pytest.mark.parametrize("schema", ["thalweg-findings/2", None, 3])
def test_another_schema_is_named(file, schema):
    change(file, schema=schema)
    with pytest.raises(DataError, match=rf"expected the schema 'thalweg-findings/1', got {schema!r}"):
        read_results(file)
    file.write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(DataError, match="expected the schema 'thalweg-findings/1', got None"):
        read_results(file)


def test_further_keys_are_named(file):
    change(file, extra=1)
    with pytest.raises(DataError, match=r"expected schema, content_hash and findings, got \['content_hash', 'extra'"):
        read_results(file)


@pytest.mark.parametrize("shape", [{}, [], {"title": "x"}, {"type": "Density"}, None])
def test_another_shape_with_a_right_hash_is_named(file, shape):
    canonical = json.dumps({"schema": SCHEMA, "findings": shape}, sort_keys=True, separators=(",", ":"))
    change(file, findings=shape, content_hash=hashlib.sha256(canonical.encode()).hexdigest())
    with pytest.raises(DataError, match="the findings have another shape than expected"):
        read_results(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ArgumentError, match=r"path: expected results\.json or the folder of a report, got .*"):
        read_results(tmp_path)
