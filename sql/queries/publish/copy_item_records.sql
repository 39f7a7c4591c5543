-- A row is one item.
copy {partition} (batch_id, item_id, title, categories, price, url, image, available, n_users, item_idx) from stdin with (format binary)
