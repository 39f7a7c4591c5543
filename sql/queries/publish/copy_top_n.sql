-- A row is one user's list.
copy {partition} (
    batch_id, user_id, item_ids, scores, source, n_model, n_category, segment, reasons, because
) from stdin with (format binary)
