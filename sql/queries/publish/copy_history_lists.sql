-- A row is one user's latest interactions.
copy {partition} (batch_id, user_id, item_ids, occurred_at, seen) from stdin with (format binary)
