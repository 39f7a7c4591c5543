create or replace function note_reason(batch text, of_step text, why text) returns void
language sql security definer set search_path from current
as $$
    update step_records set reason = why where batch_id = batch and step = of_step
$$;
comment on function note_reason is 'Note why a step of a night stopped, after note_step; for people to look at, nothing depends on it';
revoke all on function note_reason from public;
