create or replace function record_input(input jsonb, broken_rules jsonb, drifts jsonb, quarantined jsonb) returns void
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
revoke all on function record_input from public;
