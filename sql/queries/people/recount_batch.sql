-- No row: a batch has fewer lists.
update batch_records set checksum = %(checksum)s, n_users = n_users - 1, n_interactions = n_interactions - %(n_interactions)s
where batch_id = %(batch_id)s
