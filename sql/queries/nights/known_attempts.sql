-- A row is one attempt at a night as of %(as_of)s whose input was recorded, whether its folder is still there or not, and
-- whether its lists were pruned.
select
    split_part(i.batch_id, '-', 2)::integer as attempt,
    coalesce((select b.pruned_at is not null from batches as b where b.batch_id = i.batch_id), false) as is_pruned
from inputs as i
where i.as_of = %(as_of)s
