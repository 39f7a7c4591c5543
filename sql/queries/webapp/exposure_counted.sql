-- The one row says that items were counted both in the live batch and in the one before; no row: they were not.
select true as counted
where exists (select from exposure as e where e.batch_id = (select b.batch_id from batches as b where b.is_live))
    and exists (select from exposure as e where e.batch_id = (select p.batch_id from previous_batch as p))
