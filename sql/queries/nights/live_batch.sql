-- The one row is the live batch; no row: nothing was published yet.
select batch_id, as_of, computed_at, published_at, n_users, n_items, n_interactions, model_version, champion_version, checksum, input_hash, live_since
from batches
where is_live
