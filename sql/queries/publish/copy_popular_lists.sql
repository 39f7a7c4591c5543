-- A row is one segment's popular list.
copy {partition} (batch_id, segment, item_ids, scores) from stdin with (format binary)
