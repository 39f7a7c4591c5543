-- The one row says why an item is in a user's served list, or why not; no row: nothing is published yet.
select * from trace(%(user_id)s, %(item_id)s)
