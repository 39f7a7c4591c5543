-- A row is one batch whose lists are gone.
select b.batch_id from batch_records as b where b.pruned_at is not null
