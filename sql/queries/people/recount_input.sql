-- No row: what a night read, without the rows of a person who was erased: they count as excluded. Findings in JSON.
with account as (
    update input_records
    set n_excluded = %(excluded)s, n_quarantined = %(quarantined)s, n_accepted = %(accepted)s, n_carried = %(carried)s, n_users = %(users)s
    where batch_id = %(batch_id)s
    returning batch_id
),
findings as (
    select a.batch_id, f.* from account as a
    cross join jsonb_to_recordset(%(findings)s) as f (reason text, action text, column_name text, n_rows bigint, example text)
),
gone as (
    delete from finding_records as r
    using account as a
    where r.batch_id = a.batch_id and r.action in ('excluded', 'quarantined')
        and not exists (select from findings as f where (f.reason, f.action, f.column_name) = (r.reason, r.action, r.column_name))
)
insert into finding_records (batch_id, reason, action, column_name, n_rows, example)
select f.batch_id, f.reason, f.action, f.column_name, f.n_rows, f.example from findings as f
on conflict (batch_id, reason, action, column_name) do update set n_rows = excluded.n_rows, example = excluded.example
