-- A row is that the catalog had a night before an instant, if it had one.
select true as began
where exists (select from begin_records as b where b.began_at < %(before)s)
    or exists (select from batch_records as b where b.staged_at < %(before)s)
