"""Text columns collected batch by batch, kept as numbers."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class Texts:
    """Collects texts, kept as indices into dictionaries."""

    def __init__(self) -> None:
        self.chunks: list[pa.DictionaryArray] = []

    def add(self, values: pa.Array) -> None:
        """Append values."""
        self.chunks.append(values if pa.types.is_dictionary(values.type) else values.dictionary_encode())

    def finish(self) -> tuple[np.ndarray, pa.Array]:
        """(index of each value, int32, -1 for null; the distinct texts in byte order). Call it once."""
        if not self.chunks:
            return np.zeros(0, np.int32), pa.array([], pa.string())
        chunks = pa.chunked_array(self.chunks).unify_dictionaries().chunks
        self.chunks = []
        texts = chunks[0].dictionary
        order = pc.sort_indices(texts.cast(pa.binary())).to_numpy()
        rank = np.empty(len(order) + 1, np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        rank[-1] = -1
        index = np.empty(sum(map(len, chunks)), np.int32)
        last = len(index)
        while chunks:  # from the end, so that each chunk is freed after use
            chunk = chunks.pop()
            places = chunk.indices if chunk.null_count == 0 else pc.fill_null(chunk.indices, -1)
            np.take(rank, places.to_numpy(zero_copy_only=False), out=index[last - len(chunk) : last], mode="wrap")
            last -= len(chunk)
        return index, texts.take(pa.array(order))


class Kinds:
    """Collects kinds: a handful of names, -1 for none."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._chunks: list[np.ndarray] = []

    def add(self, values: pa.Array) -> None:
        """Append values."""
        if values.null_count == len(values):
            self._chunks.append(np.full(len(values), -1, np.int16))
            return
        encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
        numbers = [self._names.setdefault(name, len(self._names)) for name in encoded.dictionary.to_pylist()]
        places = pc.fill_null(encoded.indices, len(numbers)).to_numpy(zero_copy_only=False)
        self._chunks.append(np.array([*numbers, -1], np.int16)[places])

    def finish(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """(index of each value, int16; the names in byte order). Call it once."""
        names = sorted(self._names, key=str.encode)
        rank = np.array([*(names.index(name) for name in self._names), -1], np.int16)
        kinds = np.concatenate([np.zeros(0, np.int16), *self._chunks])
        self._chunks = []
        return (rank[kinds] if names else kinds), tuple(names)
