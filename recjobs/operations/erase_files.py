"""Take a person out of the files of nights, so that every file still has the hash that is noted of it."""

import hashlib
import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from recjobs import NIGHT
from recjobs.adapters import parquet
from recjobs.adapters.artifacts import NightFiles
from recjobs.adapters.ended_step import EndedStep
from recjobs.core.lists.checksum import list_digests, total
from recjobs.core.model import npz
from recjobs.core.model.als import Factors
from recjobs.core.model.stored import StoredModel
from recjobs.core.rows.findings import Finding
from recjobs.core.rows.people import ERASED, without_mentions, without_person
from recjobs.errors import ModelRefused, ModelUnreadable
from recjobs.night.handovers import INPUTS
from recjobs.operations.person_files import PersonInNight

Note = Callable[[str, str], None]
"""Notes what a checksum becomes, before the file has it."""


def take_out(night: NightFiles, user_id: str, mark: str, note: Note) -> tuple[int, list[str]]:
    """Take a person out of a night's files; returns how many were rewritten, and why others could not be read.

    Killed, it is called again. What an unfinished step has left is removed.
    """
    person, rewritten, unread = PersonInNight(night.with_refused(), user_id), 0, list[str]()
    steps = _ended(night, unread)
    try:
        known = person.user_idx
    except ModelRefused as error:
        return 0, [*unread, str(error)]
    if known is not None and not any(mark in step.marks for step in steps.values()):
        for name, step in steps.items():
            if step.key and step.key[1] != _key(night, name, step.key[0]):
                step.resume_by(None)  # what it was made of has changed since
    # `validate` last: it knows the person's number in the other files
    for name in sorted(steps, key=lambda each: (each == "validate", NIGHT.index(each) if each in NIGHT else -1)):
        step = steps[name]
        try:
            step.settle()
            contents = {} if mark in step.marks else _contents(person, step, steps.get("score"), mark, note)
        except ModelRefused as error:
            unread.append(str(error))
            continue
        if contents:
            if "model.npz" in contents:
                note(step.files["model.npz"], hashlib.sha256(contents["model.npz"]).hexdigest())
            step.rewrite(contents, mark)
            rewritten += len(contents)
    return rewritten, unread


def replace_checksums(night: NightFiles, changes: dict[str, str], mark: str) -> None:
    """Write the checksums of now into what a night notes of others; a rerun then knows its own files again."""
    steps = _ended(night, [])
    for step in steps.values():
        with suppress(ModelRefused):  # a damaged file, which `take_out` has told of
            contents = {name: step.load(name) for name in step.files if name.endswith(".json")} if changes else {}
            after = {name: replaced(content, changes) for name, content in contents.items()}
            if changed := {name: content for name, content in after.items() if content != contents[name]}:
                step.rewrite(changed, mark)
    for name in (name for name in INPUTS if name in steps):
        if key := steps[name].key:
            steps[name].resume_by(_key(night, name, key[0]))


def replaced(content: bytes, changes: dict[str, str]) -> bytes:
    """A text with the checksums of now in place of those of before."""
    for old, new in changes.items():
        content = content.replace(old.encode(), new.encode())
    return content


def account_without(person: PersonInNight) -> tuple[dict[str, Any], int] | None:
    """What a night read, as it becomes without the person, and how many interactions they have; None: not known."""
    night, gone = person.night, dict[str, int]()
    try:
        for name in ("interactions.parquet", "rejected.parquet"):
            if name in night.manifest("validate"):
                table = night.load_table("validate", name)
                gone |= _counted(name, table, person.of_table(table))
        account = _validated(night.load_json("validate", "findings.json"), person, gone)
    except (ModelRefused, KeyError):
        return None
    return account, gone.get("interactions.parquet", 0)


def without_user(content: bytes, user_id: str, where: str) -> bytes | None:
    """A stored model without a user; None if it does not know them, or is no model of ours."""
    try:
        arrays = npz.read(io.BytesIO(content), where)
        model = StoredModel.from_arrays(arrays)
    except ModelUnreadable:
        return None
    if user_id not in model.user_ids:
        return None
    row = model.user_ids.index(user_id)
    factors = Factors(np.delete(model.factors.user_factors, row, axis=0), model.factors.item_factors)
    user_ids = model.user_ids[:row] + model.user_ids[row + 1 :]
    return _npz(replace(model, factors=factors, user_ids=user_ids).to_arrays())


def _ended(night: NightFiles, unread: list[str]) -> dict[str, EndedStep]:
    """The steps that are done or were refused; what others have left is removed. unread: gets what cannot be read."""
    steps = {}
    for info in night.system.get_file_info(fs.FileSelector(night.folder, allow_not_found=True)):
        if info.type == fs.FileType.Directory:
            if night.with_refused().is_done(info.base_name):
                try:
                    steps[info.base_name] = EndedStep(night, info.base_name)
                except ModelRefused as error:
                    unread.append(str(error))
            else:
                night.system.delete_dir(info.path)
    return steps


def _key(night: NightFiles, step: str, kernel: str) -> str | None:
    try:
        inputs = [kernel, *(night.manifest(each) for each in INPUTS.get(step, ()))]
    except ModelRefused:  # pruned
        return None
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _contents(
    person: PersonInNight, step: EndedStep, score: EndedStep | None, mark: str, note: Note
) -> dict[str, bytes]:
    """The files of a step that change, as they become."""
    contents, gone = dict[str, bytes](), dict[str, int]()
    for name in step.files:
        if name.endswith(".parquet"):
            table = pq.read_table(io.BytesIO(step.load(name)))
            mask = person.of_table(table)
            gone |= _counted(name, table, mask)
            if (after := _without_rows(table, mask, person.user_idx)) is not None:
                contents[name] = after
        elif name.endswith(".npz"):
            if (after := _without_factors(step.load(name), person)) is not None:
                contents[name] = after
        elif name.endswith(".html"):
            page = step.load(name).decode()
            if (without := without_person(page, person.user_id)) != page:
                contents[name] = without.encode()
    account = _ACCOUNTS.get(step.step)
    if account and account[0] in step.files:
        before = json.loads(step.load(account[0]))
        changed = account[1](json.loads(json.dumps(before)), person, gone)
        if step.step == "inspect" and score and mark in score.marks:
            changed |= _measured(score)
            note(before["checksum"], changed["checksum"])
        if changed != before:
            contents[account[0]] = json.dumps(changed, indent=1, allow_nan=False).encode()
    return contents


def _counted(name: str, table: pa.Table, mask: np.ndarray) -> dict[str, int]:
    """How many rows go; of quarantined ones by reason."""
    if name != "rejected.parquet" or not mask.any():
        return {name: int(mask.sum())}
    reasons = table["reason"].filter(pa.array(mask)).value_counts().to_pylist()
    return {f"quarantined {each['values']}": int(each["counts"]) for each in reasons}


def _without_rows(table: pa.Table, mask: np.ndarray, user_idx: int | None) -> bytes | None:
    rows = table.filter(pa.array(~mask))
    metadata = dict(table.schema.metadata or {})
    is_later = np.zeros(0, bool)
    if "user_idx" in rows.column_names and user_idx is not None:
        numbers = rows["user_idx"].to_numpy()
        is_later = numbers > user_idx
        column = pa.array((numbers - is_later).astype(np.int32))
        rows = rows.set_column(rows.column_names.index("user_idx"), rows.schema.field("user_idx"), column)
        if b"n_users" in metadata:
            metadata[b"n_users"] = str(int(metadata[b"n_users"]) - 1).encode()
    if not mask.any() and not is_later.any() and metadata == dict(table.schema.metadata or {}):
        return None
    sink, rows = io.BytesIO(), rows.replace_schema_metadata(metadata)
    with parquet.writer(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue()


def _without_factors(content: bytes, person: PersonInNight) -> bytes | None:
    try:
        arrays = npz.read(io.BytesIO(content), "")
    except ModelUnreadable:
        return None
    if "user_ids" in arrays:
        return without_user(content, person.user_id, "")
    if person.user_idx is None or "user_factors" not in arrays:
        return None
    return _npz(arrays | {"user_factors": np.delete(arrays["user_factors"], person.user_idx, axis=0)})


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    sink = io.BytesIO()
    np.savez(sink, allow_pickle=False, **arrays)
    return sink.getvalue()


def _measured(score: EndedStep) -> dict[str, Any]:
    tables = [pq.read_table(io.BytesIO(score.load(name))) for name in sorted(score.files) if name.startswith("top_n-")]
    filled = sum(int((np.diff(table["item_ids"].combine_chunks().offsets.to_numpy()) > 0).sum()) for table in tables)
    checksum = total([list_digests(table) for table in tables])
    return {"checksum": checksum, "users": sum(table.num_rows for table in tables), "filled": filled}


def _extracted(account: dict[str, Any], person: PersonInNight, gone: dict[str, int]) -> dict[str, Any]:
    for index, source in enumerate(account.get("sources", [])):
        if n := gone.get(f"source-{index:03d}.parquet", 0):
            source["excluded"]["erased"] = source["excluded"].get("erased", 0) + n
    return account


def _validated(account: dict[str, Any], person: PersonInNight, gone: dict[str, int]) -> dict[str, Any]:
    """Rows of the person that were accepted or quarantined count as excluded, under the reason `erased`."""
    counts, n = account["counts"], gone.get("interactions.parquet", 0)
    accepted = min(n, counts["accepted"])  # the others were carried over
    reasons = {name.partition(" ")[2]: rows for name, rows in gone.items() if name.startswith("quarantined ")}
    quarantined = sum(reasons.values())
    counts["accepted"] -= accepted
    counts["carried"] -= n - accepted
    counts["quarantined"] -= quarantined
    counts["excluded"] += accepted + quarantined
    counts["users"] -= person.user_idx is not None
    findings = []
    for finding in account["findings"]:
        if finding.get("example"):
            finding["example"] = without_mentions(finding["example"], person.user_id)
        if finding["action"] == "quarantined":
            finding["n_rows"] -= reasons.get(finding["reason"], 0)
        if finding["n_rows"] or finding["action"] != "quarantined":
            findings.append(finding)
    if accepted + quarantined:
        erased = next((finding for finding in findings if finding["reason"] == "erased"), None)
        if erased is None:
            erased = Finding("erased", "excluded", 0).to_json()
            findings.insert(0, erased)
        erased["n_rows"] += accepted + quarantined
    account["findings"] = findings
    for name in ("example", "example_there"):
        fit = (account.get("fit") or {}).get("users") or {}
        if fit.get(name) == person.user_id:
            fit[name] = ERASED
    return account


def _inspected(account: dict[str, Any], person: PersonInNight, gone: dict[str, int]) -> dict[str, Any]:
    for check, users in account.get("examples", {}).items():
        account["examples"][check] = [user for user in users if user != person.user_id]
    return account


_ACCOUNTS = {
    "extract": ("extract.json", _extracted),
    "validate": ("findings.json", _validated),
    "inspect": ("inspection.json", _inspected),
}
"""Of a step, the file that counts or names people, and what it becomes."""
