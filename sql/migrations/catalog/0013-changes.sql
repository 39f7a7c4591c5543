-- What changed with the live batch, for a customer and for the catalogue, and what the nights are doing.

-- Counted by `inspect` and stored before the flip, 0.3 s for 50,000 items; counting in SQL took 2 s for 138,000 lists.
create table exposure_records (
    batch_id text collate "C" not null,
    item_id text collate "C" not null,
    n_lists integer not null,
    n_top10 integer not null,
    primary key (batch_id, item_id)
);
comment on table exposure_records is 'A row is one item of a batch''s lists: in how many of them it is served, and in how many among the first ten';

create function record_exposure(batch text, counts jsonb) returns void
language plpgsql security definer set search_path from current
as $$
begin
    if exists (select from batch_records where batch_id = batch and attached) then
        return;
    end if;
    delete from exposure_records where batch_id <> all (array(select b.batch_id from batch_records as b where b.attached and b.pruned_at is null));
    insert into exposure_records (batch_id, item_id, n_lists, n_top10)
    select batch, c.item_id, c.n_lists::integer, c.n_top10::integer
    from rows from (
        jsonb_array_elements_text(counts -> 'item_id'), jsonb_array_elements(counts -> 'n_lists'), jsonb_array_elements(counts -> 'n_top10')
    ) as c (item_id, n_lists, n_top10);
end
$$;
comment on function record_exposure is 'Keep in how many lists of a loaded, not yet attached batch each item is, as inspect counted; those of batches that are pruned or never came to be go';

create table step_records (
    batch_id text collate "C" not null check (batch_id ~ '^[0-9]{8}T[0-9]{6}Z-[0-9]{1,6}$'),
    step text collate "C" not null,
    state text not null check (state in ('running', 'done', 'left_out', 'refused', 'skipped', 'waiting', 'failed')),
    started_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    primary key (batch_id, step)
);
comment on table step_records is 'A row is one step of one night: the last time it began, and how that ended';

create function note_step(batch text, of_step text, its_state text) returns void
language sql security definer set search_path from current
as $$
    insert into step_records (batch_id, step, state, ended_at)
    values (batch, of_step, its_state, case when its_state <> 'running' then clock_timestamp() end)
    on conflict (batch_id, step) do update
    set state = excluded.state,
        started_at = case when excluded.state = 'running' then excluded.started_at else step_records.started_at end,
        ended_at = excluded.ended_at
$$;
comment on function note_step is 'Note that a step of a night begins (running), or how it ended; for people to look at, nothing depends on it';

create view steps as select * from step_records;
comment on view steps is 'A row is one step of one night: running, or how it ended. A process that was killed has left running behind';

create view exposure as select * from exposure_records;
comment on view exposure is 'A row is one item of a batch''s lists as the night made them, before any rule: in how many it is served (n_lists), and among the first ten (n_top10)';

create view previous_batch as
select b.batch_id, b.as_of, b.computed_at, b.model_version, b.n_users, b.top_n_served, l.action as ended_by, l.at as ended_at
from publish_records as l
join batch_records as b on b.batch_id = l.previous_batch_id
where b.pruned_at is null
    and l.log_id = (select max(o.log_id) from publish_records as o where o.action in ('publish', 'roll_back'));
comment on view previous_batch is 'The one row is the batch that was live before the live one, and what ended that; no row: there was none, or its lists are gone';

create view previous_lists as
select t.user_id, t.item_ids[1:(select p.top_n_served from previous_batch as p)] as item_ids, t.batch_id
from top_n as t
where t.batch_id = (select p.batch_id from previous_batch as p);
comment on view previous_lists is 'A row is one user''s list in the batch that was live before, as its night made it';

create view previous_items as
select i.item_id, i.title, i.categories, i.batch_id
from item_records as i
where i.batch_id = (select p.batch_id from previous_batch as p);
comment on view previous_items is 'A row is one item of the batch that was live before';

create view segments as
select p.segment, cardinality(p.item_ids) as n_items, p.batch_id
from popular_lists as p
where p.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view segments is 'A row is one segment that has a popular list: `all`, `category:<name>`, or `segment:<name>` of the users'' own';

do $$
begin
    execute format('revoke all on all functions in schema %I from public', current_schema());
end
$$;
grant select on steps, exposure, previous_batch, previous_lists, previous_items, segments to recjobs_reader;
grant execute on function record_exposure(text, jsonb) to recjobs_loader;
grant execute on function note_step(text, text, text) to recjobs_publisher;
