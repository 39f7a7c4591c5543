-- What each night read, whether it was accepted, refused or skipped. A refused night has no batch, so nothing here refers to one.

create table input_records (
    batch_id text collate "C" primary key check (batch_id ~ '^[0-9]{8}T[0-9]{6}Z-[0-9]{1,6}$'),
    as_of timestamptz not null,
    recorded_at timestamptz not null default now(),
    input_hash text not null,
    state text not null check (state in ('accepted', 'refused', 'skipped')),
    reason text,
    n_read bigint not null default 0,
    n_excluded bigint not null default 0,
    n_merged bigint not null default 0,
    n_quarantined bigint not null default 0,
    n_accepted bigint not null default 0,
    n_carried bigint not null default 0,
    n_users bigint not null default 0,
    n_items bigint not null default 0,
    oldest timestamptz,
    newest timestamptz,
    files jsonb not null default '[]',
    check (state <> 'accepted' or n_read = n_excluded + n_accepted + n_merged + n_quarantined)
);
comment on table input_records is 'A row is what one night read, published or not';

create table drift_records (
    batch_id text collate "C" not null references input_records on delete cascade,
    feature text not null,
    value double precision not null,
    threshold double precision not null,
    compared_with text collate "C" not null,
    primary key (batch_id, feature)
);
comment on table drift_records is 'A row is how far one feature of a night''s newest rows moved from those of an earlier night';

create table rejected_records (
    batch_id text collate "C" not null references input_records on delete cascade,
    source text not null,
    "row" bigint not null,
    reason text not null,
    user_id text collate "C",
    item_id text collate "C",
    occurred_at text,
    weight text,
    kind text
);
create index on rejected_records (batch_id, reason);
comment on table rejected_records is 'A row is one quarantined row of a night''s input; the first thousand of each reason';

alter table finding_records drop constraint finding_records_batch_id_fkey;
alter table finding_records drop constraint finding_records_action_check;
alter table finding_records
    add constraint finding_records_action_check
    check (action in ('excluded', 'merged', 'quarantined', 'warned', 'refused', 'skipped'));

create function record_input(input jsonb, broken_rules jsonb, drifts jsonb, quarantined jsonb) returns void
language plpgsql security definer set search_path from current
as $$
declare
    batch text := input ->> 'batch_id';
begin
    delete from input_records where batch_id = batch;
    delete from finding_records where batch_id = batch;
    insert into input_records
    select (jsonb_populate_record(null::input_records, '{"files": []}' || input || jsonb_build_object('recorded_at', now()))).*;
    insert into finding_records
    select (jsonb_populate_record(null::finding_records, f || jsonb_build_object('batch_id', batch))).* from jsonb_array_elements(broken_rules) as f;
    insert into drift_records
    select (jsonb_populate_record(null::drift_records, d || jsonb_build_object('batch_id', batch))).* from jsonb_array_elements(drifts) as d;
    insert into rejected_records
    select (jsonb_populate_record(null::rejected_records, q || jsonb_build_object('batch_id', batch))).* from jsonb_array_elements(quarantined) as q;
end
$$;
comment on function record_input is 'Store what a night read and what was wrong with it, whether it goes on or not';

create or replace function record_night(batch text, promotion jsonb, metrics jsonb) returns void
language plpgsql security definer set search_path from current
as $$
begin
    if exists (select from batch_records where batch_id = batch and attached) then
        return;
    end if;
    delete from promotion_records where batch_id = batch;
    delete from evaluation_records where batch_id = batch;
    insert into promotion_records select * from jsonb_populate_record(null::promotion_records, promotion || jsonb_build_object('batch_id', batch));
    insert into evaluation_records
    select (jsonb_populate_record(null::evaluation_records, e || jsonb_build_object('batch_id', batch))).* from jsonb_array_elements(metrics) as e;
end
$$;
comment on function record_night(text, jsonb, jsonb) is 'Store a night''s verdict and metrics beside its batch';
drop function record_night(text, jsonb, jsonb, jsonb);

create view inputs as select * from input_records;
comment on view inputs is 'A row is what one night read: counts, input hash and files, and whether it was accepted';

create view drift as select * from drift_records;
comment on view drift is 'A row is how far one feature moved between two nights (PSI, or a share), and the threshold';

create view rejected as select * from rejected_records;
comment on view rejected is 'A row is one quarantined row of a night''s input; the first thousand of each reason';

comment on view popular_items is 'A row is one popular item of a segment: `all`, `category:<name>`, or `segment:<name>` of the users'' own';

do $$
begin
    execute format('revoke all on all functions in schema %I from public', current_schema());
end
$$;
grant select on inputs, drift, rejected to recjobs_reader;
grant select on inputs to recjobs_publisher;
grant execute on function record_input(jsonb, jsonb, jsonb, jsonb), record_night(text, jsonb, jsonb) to recjobs_publisher;
