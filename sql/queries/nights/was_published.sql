-- The one row is whether a batch was ever published, whether it was rolled back since or not.
select exists (select from batches where batch_id = %(batch_id)s and published_at is not null) as is_so
