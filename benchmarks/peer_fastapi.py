"""The peer: what comparable systems do. FastAPI scores the whole catalogue with implicit while the visitor waits.

All is in memory, what is known of the items too. It answers the product's address in the product's shape, so that one
client measures both, and like the product it leaves out what a user has seen. It gives no reasons.
"""

import os
from pathlib import Path

import numpy as np
import orjson
from fastapi import FastAPI, Response
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

folder = Path(os.environ["PEER_FOLDER"])
known = orjson.loads((folder / "items.json").read_bytes())
user_idx = {str(user): idx for idx, user in enumerate(np.load(folder / "user_ids.npy").tolist())}
model = AlternatingLeastSquares(factors=64, num_threads=1)
model.user_factors = np.load(folder / "user_factors.npy", mmap_mode="r")
model.item_factors = np.load(folder / "item_factors.npy")
seen = np.load(folder / "seen.npy", mmap_mode="r")
user_items = csr_matrix(
    (np.ones(seen.size, np.float32), seen.ravel(), np.arange(0, seen.size + 1, seen.shape[1])),
    shape=(len(seen), len(known)),
)
POPULAR = (range(20), [1 / rank for rank in range(1, 21)])

app = FastAPI()


@app.get("/v1/{catalog}/recommendations")
async def recommendations(catalog: str, user_id: str, n: int = 20) -> Response:
    """The best n items of a user, popular ones for an unknown user."""
    idx, source = user_idx.get(user_id), "als"
    if idx is None:
        (items, scores), source = POPULAR, "popular"
    else:
        indices, scores = model.recommend(idx, user_items[idx], N=n)
        items, scores = indices.tolist(), scores.tolist()
    answer = {
        "user_id": user_id,
        "catalog": catalog,
        "items": [
            {"rank": rank, **known[item], "score": score, "source": source, "because": [], "because_ids": []}
            for rank, (item, score) in enumerate(zip(items, scores, strict=True), 1)
        ],
    }
    return Response(orjson.dumps(answer), media_type="application/json")
