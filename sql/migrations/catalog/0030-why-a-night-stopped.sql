-- Why a step stopped, and each try to begin a night: one that fails to begin has no batch and no steps.

alter table step_records add column reason text;
comment on column step_records.reason is 'Why the step stopped; null: it did not';

create table begin_records (
    begin_id bigint generated always as identity primary key,
    began_at timestamptz not null default clock_timestamp(),
    as_of text,
    state text not null check (state in ('done', 'refused', 'skipped', 'waiting', 'failed')),
    reason text,
    batch_id text collate "C",
    run_id text collate "C"
);
create index on begin_records (run_id);
comment on table begin_records is 'A row is one try to begin a night; the latest 1,000 are kept';
comment on column begin_records.as_of is 'As it was asked; null: up to the newest row, or now';
comment on column begin_records.batch_id is 'The night that began, was resumed, or was found finished; null: none';
comment on column begin_records.run_id is 'The run of the scheduler that asked; null: a person did';
