"""What the types of a Parquet column become, once, for every column of every place.

| type in the file | becomes |
|---|---|
| string, large string, string view; JSON and other extensions of text | text |
| binary, large, fixed-size, binary view | text, if it is UTF-8; else refused |
| UUID | text of 36 characters, in lower case |
| dictionary, run-end encoded | what it stands for |
| decimal without a fraction | a whole number; text of its digits if they may be more than 18 |
| other extension types | what they are stored as |
| list of any kind, large, fixed-size or view | list of what its values become |
| all others: integers, floats, other decimals, booleans, dates, timestamps | as it is |
"""

import uuid

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_INT64_DIGITS = 18


class Unreadable(Exception):
    """Bytes are no text; the message is an example and the way out."""


def plain(values: pa.Array) -> pa.Array:
    """The values in one of the few types that all other code knows. Raises Unreadable for bytes that are no text."""
    kind = values.type
    if isinstance(kind, pa.UuidType):
        return _uuids(values.storage)
    if isinstance(kind, pa.BaseExtensionType):
        return plain(values.storage)
    if pa.types.is_dictionary(kind):
        return plain(values.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return plain(pc.run_end_decode(values))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    if pa.types.is_fixed_size_binary(kind):
        return _text(values.cast(pa.binary()))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return _text(values)
    if pa.types.is_decimal(kind) and kind.scale == 0:
        return values.cast(pa.int64() if kind.precision <= _INT64_DIGITS else pa.string())
    if is_list(kind):
        return _list(values)
    return values


def is_list(kind: pa.DataType) -> bool:
    """Whether a type holds several values of one type in each row."""
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def _text(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        example = next(value for value in values.to_pylist() if value is not None and not _is_text(value))
        shown = example if len(example) <= 20 else example[:20] + b"..."
        what = "; 16 bytes may be a UUID, which is text of 36 characters" if len(example) == 16 else ""
        raise Unreadable(f"{shown!r}{what}: export it as text") from None


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _uuids(values: pa.Array) -> pa.Array:
    encoded = values.cast(pa.binary()).dictionary_encode()
    texts = pa.array([str(uuid.UUID(bytes=value)) for value in encoded.dictionary.to_pylist()], pa.string())
    return texts.take(encoded.indices)


def _list(values: pa.Array) -> pa.Array:
    values = values.cast(pa.list_(values.type.value_type))
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    ends = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    return pa.ListArray.from_arrays(ends, plain(values.flatten()), mask=values.is_null())
