-- A row is one item and those like it.
copy {partition} (batch_id, item_id, item_ids, scores) from stdin with (format binary)
