"""``results.json``: everything a report shows, to be read again.

::

    {
      "schema": "thalweg-findings/1",
      "content_hash": sha256 of the canonical JSON of {"schema": …, "findings": …},
      "findings": Findings.to_dict()
    }

Canonical JSON has sorted keys, no spaces, and UTF-8 without escapes. What could not be determined is
``null``; there is no NaN and no Infinity. Tensors are nested lists; one of a dtype other than float64,
int64 and bool is ``{"dtype": "float32", "data": [...]}``. A record carries its class as ``"type"``; its
fields are those of the class, with the units its documentation names.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from thalweg.errors import ArgumentError, DataError
from thalweg.study._results import Findings

SCHEMA = "thalweg-findings/1"


def to_json(findings: Findings) -> str:
    """Return the text of ``results.json``."""
    content: dict[str, Any] = {"schema": SCHEMA, "findings": findings.to_dict()}
    whole = {"schema": SCHEMA, "content_hash": content_hash(content), "findings": content["findings"]}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def content_hash(content: dict[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of a dictionary, in hexadecimal."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_results(path: str | Path) -> Findings:
    """Read the findings of a report.

    Args:
        path: ``results.json``, or the folder of the report.

    Returns:
        The findings; what was not finite in a tensor is NaN again.

    Raises:
        ArgumentError: If there is no such file.
        DataError: If the file is no ``results.json`` of this schema, or has been changed or damaged since it
            was written.

    Example:
        >>> read_results("no/such/folder")
        Traceback (most recent call last):
        ...
        thalweg.errors.ArgumentError: path: expected results.json or the folder of a report, got no/such/folder ...
    """
    file = Path(path)
    if file.is_dir():
        file = file / "results.json"
    if not file.is_file():
        raise ArgumentError(f"path: expected results.json or the folder of a report, got {path} with no such file.")
    try:
        whole = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse)
    except ValueError as error:
        raise DataError(f"{file}: expected JSON, got something else ({error}); write the report again.") from error
    schema = whole.get("schema") if isinstance(whole, dict) else None
    if schema != SCHEMA:
        raise DataError(f"{file}: expected the schema {SCHEMA!r}, got {schema!r}; was it written by another version?")
    if set(whole) != {"schema", "content_hash", "findings"}:
        raise DataError(f"{file}: expected schema, content_hash and findings, got {sorted(whole)}.")
    found = content_hash({"schema": schema, "findings": whole["findings"]})
    if found != whole["content_hash"]:
        raise DataError(
            f"{file}: the content does not match its hash (expected {whole['content_hash']}, got {found}); "
            "the file has been changed or damaged since it was written."
        )
    try:
        return Findings.from_dict(whole["findings"])
    except (ArgumentError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file}: the findings have another shape than expected ({error}).") from error


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
